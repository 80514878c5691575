"""HTML report of a run in one self-contained file: figures, plots, and every answer, the wrong ones first."""

import base64
from collections.abc import Sequence
from pathlib import Path

from gpt_from_scratch.evals.protocol.messages import Message
from gpt_from_scratch.evals.protocol.samples import EvalResult, SampleResult
from gpt_from_scratch.evals.results.results import summary
from gpt_from_scratch.support.pages.html_page import Markup, element, escape, page
from gpt_from_scratch.support.pages.theme import BASE
from gpt_from_scratch.support.storage import files

SCRIPT = """
const search = document.getElementById("search"), kind = document.getElementById("kind");
const shown = document.getElementById("shown"), rows = [...document.querySelectorAll("tbody tr")];
const texts = rows.map(row => row.textContent.toLowerCase());
function filter() {
  const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let count = 0;
  rows.forEach((row, i) => {
    const show = (!kind.value || row.className === kind.value) && words.every(word => texts[i].includes(word));
    row.hidden = !show;
    count += show;
  });
  shown.textContent = count + " of " + rows.length;
}
search.addEventListener("input", filter);
kind.addEventListener("change", filter);
filter();
"""

STYLE = (
    BASE
    + """
.facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .15rem 1.2rem; font-size: .9rem; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; white-space: pre-wrap; }
img { display: block; width: 100%; min-width: 60rem; background: #fff; border-radius: .25rem; }
table { width: 100%; table-layout: fixed; }
td { white-space: pre-wrap; overflow-wrap: anywhere; font: .82rem/1.45 ui-monospace, monospace; padding-right: .8rem; }
th:nth-child(1) { width: 4rem; } th:nth-child(2) { width: 40%; } th:nth-child(5) { width: 14rem; }
td:last-child { color: var(--soft); }
tr.wrong td:first-child { color: var(--bad); } tr.right td:first-child { color: var(--good); }
tr.error td:first-child { color: var(--odd); }
@media (prefers-color-scheme: dark) { img { filter: invert(.9) hue-rotate(180deg); } }
@media (max-width: 52rem) {
  .facts { grid-template-columns: 1fr; } .facts dd { margin-bottom: .4rem; }
  thead { display: none; }
  table, tbody { display: block; }
  tr { display: block; background: var(--raised); border-radius: .5rem; padding: .6rem .8rem; margin-bottom: .75rem; }
  td { display: block; border: 0; padding: .15rem 0; }
  td:empty { display: none; }
  td[data-name]::before { content: attr(data-name) "\\A"; color: var(--soft); font: .78rem/1.4 system-ui, sans-serif; }
}
"""
)

INDEX_STYLE = BASE + "\ntable { min-width: min(100%, 40rem); }\n"

_KINDS = ("error", "wrong", "right")
HEADS = ("score", "question", "answer", "right answer", "about")


def write_report(result: EvalResult, path: Path, *, title: str, figures: Sequence[tuple[str, bytes]] = ()) -> None:
    """Write the report of `result` to `path`.

    figures: caption and PNG of each
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(path, render(result, title=title, figures=figures))


def write_index(path: Path, title: str, heads: Sequence[str], links: Sequence[Sequence[str]]) -> None:
    """Write the page that leads to a run's pages: a row each, (address, text of the link, the other cells ...)."""
    rows = [
        element("tr", element("td", element("a", text, href=address)), *(element("td", cell) for cell in cells))
        for address, text, *cells in links
    ]
    head = element("thead", element("tr", *(element("th", head) for head in heads)))
    table = element("div", element("table", head, element("tbody", *rows)), class_="scroll", tabindex="0")
    files.write_text(path, page(title, element("h1", title), table, style=INDEX_STYLE))


def render(result: EvalResult, *, title: str, figures: Sequence[tuple[str, bytes]] = ()) -> str:
    """The page. All text from samples, models and servers is escaped, with its hidden characters shown."""
    shared = _shared_system(result.sample_results)
    rows = sorted(result.sample_results, key=lambda row: (_KINDS.index(_kind(row)), row.score or 0.0))
    facts = [
        element(tag, text) for fact in _facts(result, shared) for tag, text in zip(("dt", "dd"), fact, strict=True)
    ]
    heads = [element("th", text) for text in HEADS]
    return page(
        title,
        element("header", element("h1", title), element("p", _sentence(result), class_="about")),
        _tiles(result),
        *(_image(caption, png) for caption, png in figures),
        element("h2", "How it was asked"),
        element("dl", *facts, class_="facts"),
        element("h2", "Every answer"),
        _SEARCH,
        element(
            "table", element("thead", element("tr", *heads)), element("tbody", *(_row(row, shared) for row in rows))
        ),
        style=STYLE,
        script=SCRIPT,
        images=True,
    )


def _sentence(result: EvalResult) -> str:
    """Summary sentence of the result and of the page."""
    if result.accuracy is None:
        return f"{result.completer} gave no answer that could be scored. Below stands what went wrong with each."
    low, high = summary(result)["interval_95"]
    return (
        f"{result.completer} scored {result.accuracy:.1%}. With 95 % confidence its score over all questions of this kind "
        f"lies between {low:.1%} and {high:.1%}. Every answer is below; what failed and what is wrong comes first."
    )


def _tiles(result: EvalResult) -> Markup:
    """Tiles with the numbers of answers by kind."""
    kinds = [_kind(row) for row in result.sample_results]
    classes = {"right": "good", "wrong": "bad", "error": "odd"}
    counted = [(kind, kinds.count(kind), classes[kind]) for kind in reversed(_KINDS)]
    score = [] if result.accuracy is None else [("score", f"{result.accuracy:.1%}", None)]
    return element(
        "dl",
        *(
            element("div", element("dt", name), element("dd", value, class_=of))
            for name, value, of in (*score, *counted)
        ),
        class_="tiles",
    )


_SEARCH = element(
    "div",
    Markup('<input type="search" id="search" placeholder="words to find" aria-label="search">'),
    element(
        "select",
        *(element("option", name or "all", value=name) for name in ("", *_KINDS)),
        id="kind",
        aria_label="which rows",
    ),
    element("span", id="shown"),
    class_="bar",
)


def _image(caption: str, png: bytes) -> Markup:
    data = base64.b64encode(png).decode()
    image = Markup(f'<img alt="{escape(caption)}" src="data:image/png;base64,{data}">')
    drawn = element("div", image, class_="scroll", tabindex="0")
    return element("section", element("h2", caption[:1].upper() + caption[1:]), element("figure", drawn))


def _facts(result: EvalResult, shared: str) -> list[tuple[str, str]]:
    figures = summary(result)
    low, high = figures.get("interval_95", (None, None))
    facts = [("model", result.completer)]
    served = sorted({row.served_model for row in result.sample_results if row.served_model})
    if served and served != [result.completer]:
        facts.append(("served by", ", ".join(served)))
    if result.accuracy is not None:
        facts.append(("score", f"{result.accuracy:.4f}, 95 % interval {low:.4f} to {high:.4f}"))
    facts.append(("answers", f"{figures['answered']} of {result.requested}, {figures['errors']} failed"))
    if figures["unread"]:
        facts.append(("unread answers", f"{figures['unread']}, counted as wrong"))
    if result.errors:
        facts.append(("failed", ", ".join(f"{n} × {kind}" for kind, n in figures["error_kinds"].items())))
    facts.append(("tokens", f"{result.input_tokens} read, {result.output_tokens} written"))
    facts.append(("cost", "not known" if result.cost is None else f"${result.cost:.4f}"))
    if result.retries:
        facts.append(("tried again", ", ".join(f"{n} × {kind}" for kind, n in sorted(result.retries.items()))))
    if result.stopped:
        facts.append(("stopped", result.stopped))
    facts.append(("made", result.created_at))
    if shared:
        facts.append(("system prompt", shared))
    return facts


def _kind(row: SampleResult) -> str:
    if row.score is None:
        return "error"
    return "right" if row.score == 1 else "wrong"


def _row(row: SampleResult, shared: str) -> Markup:
    answer = row.error if row.output is None else str(row.output)
    if row.error and row.output is not None:
        answer = f"{answer}\n[{row.error}]"
    if isinstance(row.other_output, str) and row.other_output:
        answer = f"{answer}\n[{row.other_output}]"
    correct = row.output_correct if isinstance(row.output_correct, str) else "\n".join(row.output_correct or [])
    about = [f"{name} {value}" for name, value in row.sample.splits.items()]
    about += [f"{row.input_tokens}+{row.output_tokens} tokens, {row.seconds:.2f} s"]
    about += [f"{row.retries} retries"] if row.retries else []
    about += ["cached"] if row.cached else []
    about += [f"read as {row.output_parsed}"] if row.output_parsed not in (None, row.output) else []
    about += ["not read"] if row.output_parsed is None and row.score == 0 else []
    about += [row.finish_reason] if row.finish_reason not in (None, "stop", "end_turn") else []
    score = "error" if row.score is None else f"{row.score:g}"
    cells = (score, _question(row.input, shared), answer or "", correct, "\n".join(about))
    named = [element("td", text, data_name=head) for head, text in zip(HEADS[1:], cells[1:], strict=True)]
    return element("tr", element("td", cells[0]), *named, class_=_kind(row))


def _question(prompt: str | list[Message], shared: str) -> str:
    """The messages; a system prompt that all rows share stands at the top of the page."""
    if isinstance(prompt, str):
        return prompt
    messages = [message for message in prompt if not (message.role == "system" and message.content == shared)]
    if len(messages) == 1:
        return messages[0].content
    return "\n\n".join(f"[{message.role}] {message.content}" for message in messages)


def _shared_system(rows: Sequence[SampleResult]) -> str:
    """The system prompt where every row has the same, else ""."""
    prompts = {row.input[0].content if isinstance(row.input, list) and row.input else "" for row in rows}
    roles = {row.input[0].role if isinstance(row.input, list) and row.input else "" for row in rows}
    return prompts.pop() if len(prompts) == 1 and roles == {"system"} else ""
