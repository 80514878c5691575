"""Self-contained HTML page with the tokens of a text, for several tokenizers side by side.

Hover over a token, or go to it with the keyboard: its id, bytes, characters, and the tree of merges that made it. The
slider takes the merges back and makes them again. The page loads nothing; its policy allows exactly its own style and
script. The text travels as data and is only ever inserted as text.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from gpt_from_scratch.support.pages.html_page import Markup, element, page
from gpt_from_scratch.support.storage.files import write_text
from gpt_from_scratch.tokenizer.views.charts import length_chart, merges_chart
from gpt_from_scratch.tokenizer.views.merge_trees import nodes_of, tokens_after
from gpt_from_scratch.tokenizer.views.page_assets import SCRIPT, STYLE
from gpt_from_scratch.tokenizer.views.tokens import AnyTokenizer, character_name, tokens_of


def token_page(tokenizers: Mapping[str, AnyTokenizer], text: str) -> str:
    """The page for tokenizers by name. Raises ValueError without a tokenizer or a text."""
    if not tokenizers or not text:
        raise ValueError("a page needs at least one tokenizer and a text")
    panels: list[dict[str, object]] = []
    curves: dict[str, list[tuple[int, int]]] = {}
    rows: list[Markup] = []
    size = len(text.encode("utf-8", "replace"))
    for name, tokenizer in tokenizers.items():
        tokens = tokens_of(tokenizer, text)
        nodes = nodes_of(tokenizer, tokens)
        number = {data: place for place, data in enumerate(nodes)}
        panels.append(
            {
                "name": name,
                "nodes": [
                    [node.index, node.data.hex(), node.merge]
                    + ([number[node.left], number[node.right]] if node.left else [])
                    for node in nodes.values()
                ],
                "tokens": [number[token.data] for token in tokens],
            }
        )
        curves[name] = tokens_after(nodes, tokens)
        figures = (f"{tokenizer.n_vocab:,}", f"{len(tokens):,}", f"{size / len(tokens):.3f}")
        rows.append(element("tr", element("th", name, scope="row"), *(element("td", figure) for figure in figures)))
    lengths = {name: _lengths(tokenizer) for name, tokenizer in tokenizers.items()}
    data = {"panels": panels, "names": {one: character_name(one) for one in sorted(set(text)) if not one.isascii()}}
    header = element(
        "tr", *(element("th", one, scope="col") for one in ("tokenizer", "vocabulary", "tokens", "bytes per token"))
    )
    body = [
        element("h1", "Tokens"),
        element(
            "p",
            f"{len(text):,} characters, {size:,} bytes of UTF-8, and what each tokenizer makes of them. Point at a token for "
            "its bytes and the merges that made it; the slider takes the merges back.",
            class_="about",
        ),
        element(
            "div", element("table", element("thead", header), element("tbody", *rows)), class_="scroll", tabindex="0"
        ),
        element(
            "p",
            element("label", "merges ", element("input", type="range", id="merges", min="0", max="1000", value="1000")),
            " ",
            element("output", "", id="made", for_="merges"),
            class_="steps",
        ),
        element("div", "", id="panels"),
        element("noscript", "The tokens are drawn by this page's own script, which your browser does not run."),
        element("div", "", id="card", role="tooltip", hidden="hidden"),
        element(
            "div",
            element("figure", element("h2", "Tokens saved by the merges"), merges_chart(curves)),
            element("figure", element("h2", "Lengths of the tokens"), length_chart(lengths)),
            class_="charts",
        ),
        # "<" never occurs in the data, so nothing in a text can end the element.
        Markup(f'<script type="application/json" id="data">{_inert(data)}</script>'),
    ]
    return page("Tokens", *body, style=STYLE, script=SCRIPT)


def write_token_page(path: Path | str, tokenizers: Mapping[str, AnyTokenizer], text: str) -> None:
    """Write `token_page` to a file, atomically."""
    write_text(Path(path), token_page(tokenizers, text))


def _lengths(tokenizer: AnyTokenizer) -> dict[int, int]:
    """Numbers of tokens in the vocabulary by length in bytes."""
    lengths: dict[int, int] = {}
    for index in range(tokenizer.n_vocab):
        try:
            size = len(tokenizer.decode_bytes([index]))
        except (ValueError, KeyError):  # tables may have gaps
            continue
        lengths[size] = lengths.get(size, 0) + 1
    return lengths


def _inert(data: object) -> str:
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
