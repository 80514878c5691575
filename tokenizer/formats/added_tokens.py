"""The added tokens of a tokenizer.json: texts that cut a text before anything else is done."""

from collections.abc import Mapping

from gpt_from_scratch.tokenizer.bpe.printable import from_printable
from gpt_from_scratch.tokenizer.fields import JsonNode

_FIELDS = ("id", "content", "single_word", "lstrip", "rstrip", "normalized", "special")


def added_tokens(tokens: JsonNode, vocabulary: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """The ids of the special ones, and of the others; `vocabulary` is the model's.

    Raises ValueError on a flag that is not honoured, on an id that is not the one Hugging Face's library will use (that of
    the same token in the vocabulary, else the next free one), and where its order of cutting would matter.
    """
    special: dict[str, int] = {}
    always: dict[str, int] = {}
    in_first_pass: dict[str, bool] = {}
    following = len(vocabulary)
    for token in tokens.items_of_list():
        token.only(*_FIELDS)
        name, index = token["content"].text(), token["id"].number()
        if not name:
            raise token["content"].error("is empty")
        for option in ("single_word", "lstrip", "rstrip"):
            if token.get(option) is not None and token[option].boolean():
                raise token.error(f"{name!r} has {option}, which is not honoured here")
        expected = vocabulary.get(name, following)
        if index != expected:
            raise token.error(
                f"the added token {name!r} has two ids, {index} and {expected}, which Hugging Face's library gives it"
            )
        if name in in_first_pass:
            raise token.error(f"{name!r} is there twice")
        following = max(following, index + 1)
        is_special = token.get("special") is not None and token["special"].boolean()
        is_normalized = token["normalized"].boolean() if token.get("normalized") is not None else not is_special
        (special if is_special else always)[name] = index
        in_first_pass[name] = not is_normalized
        _warn_of_decoding(token, name)
    _check_passes(tokens, in_first_pass)
    return special, always


def _check_passes(tokens: JsonNode, in_first_pass: Mapping[str, bool]) -> None:
    """Their library cuts at the tokens that are not "normalized" first, then at the others in what is left; here all at once.

    That differs only where one of the others could begin before one of the first, or with it, and reach into it.
    """
    first = [name for name, early in in_first_pass.items() if early]
    for late in (name for name, early in in_first_pass.items() if not early):
        for early in first:
            overlaps = (early.startswith(late[place : place + len(early)]) for place in range(len(late)))
            if any(overlaps):
                raise tokens.error(
                    f"has {late!r} (normalized), which can overlap {early!r} (not normalized); their order is not honoured"
                )


def _warn_of_decoding(token: JsonNode, name: str) -> None:
    try:
        spelled = from_printable(name)
    except ValueError:
        return
    if spelled != name.encode("utf-8"):
        token["content"].warn(f"{name!r} decodes to itself here, to the bytes {spelled!r} in Hugging Face's library")
