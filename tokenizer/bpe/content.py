"""Parser of a byte pair encoding's file: from its content to the constructor's arguments."""

from pathlib import Path
from typing import Any

from gpt_from_scratch.tokenizer.bpe.reference import TIE_BREAKS
from gpt_from_scratch.tokenizer.fields import JsonNode, named
from gpt_from_scratch.tokenizer.splitting.patterns import PATTERNS
from gpt_from_scratch.tokenizer.splitting.unicode_table import UNICODE_VERSION

_FIELDS = ("pattern", "unicode", "tie_break", "byte_order", "merges", "special_tokens", "added_tokens", "token_ids")


def options_of(content: dict[str, Any], path: Path) -> tuple[str | None, dict[str, Any]]:
    """The release of Unicode that the tokenizer was made with (None: that of `regex`), and the constructor's options.

    Raises ValueError that names the file and the field, or the release of Unicode if it is not this one.
    """
    node = JsonNode(content, "content", str(path))
    with named(f"{path} is not a whole byte_pair_encoding tokenizer"):
        node.only(*_FIELDS)
        unicode = node["unicode"].value
        name, text = node["pattern"]["name"].value, node["pattern"]["text"].text()
        pairs = (pair.pair() for pair in node["merges"].items_of_list())
        options: dict[str, Any] = {
            "merges": [(left.number(), right.number()) for left, right in pairs],
            "pattern": name if isinstance(name, str) and PATTERNS.get(name) == text else text,
            "byte_order": node["byte_order"].choice("raw", "gpt2"),
            "tie_break": node["tie_break"].choice(*TIE_BREAKS),
            "special_tokens": {token: index.number() for token, index in node["special_tokens"].fields()},
        }
        if "added_tokens" in content:
            options["added_tokens"] = {token: index.number() for token, index in node["added_tokens"].fields()}
        if "token_ids" in content:
            options["token_ids"] = [index.number() for index in node["token_ids"].items_of_list()]
    if unicode not in (UNICODE_VERSION, None):
        raise ValueError(
            f"{path} needs the letters and numbers of Unicode {unicode}; this release has those of {UNICODE_VERSION}, which "
            "would split texts differently: use the release that made it"
        )
    return unicode, options
