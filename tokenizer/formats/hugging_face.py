"""Hugging Face's tokenizer.json, both ways. What this tokenizer would do differently is refused, not passed over."""

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.files import write_text
from gpt_from_scratch.tokenizer.byte_pair_encoding import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.files import read_json
from gpt_from_scratch.tokenizer.formats.gpt2_files import checked_ids, from_tables, printable_ids, printable_merges
from gpt_from_scratch.tokenizer.formats.printable import from_printable
from gpt_from_scratch.tokenizer.patterns import PATTERNS, pattern_text

# Their engine reads "$" as a line's end and "{1,3}+" as a repetition of repetitions, so these patterns are written in
# the forms in which OpenAI published them first, which split every text alike.
_PORTABLE = {
    "gpt4": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+",
}


def read_hugging_face(path: Path | str) -> BytePairEncodingTokenizer:
    """The tokenizer of a byte-level BPE tokenizer.json. Added tokens become special tokens.

    Raises ValueError on damage and on whatever cannot be honoured: normalizers, other pre-tokenizers, dropout,
    truncation, … A post-processor that adds tokens around a text is left out, with a warning.
    """
    document = read_json(Path(path))

    def refuse(what: str) -> ValueError:
        return ValueError(f"{path}: {what}; only a byte-level BPE tokenizer that does nothing else can be read")

    for field in ("normalizer", "truncation", "padding"):
        if document.get(field) is not None:
            raise refuse(f"it has a {field}, {json.dumps(document[field])[:80]}")
    model = document.get("model")
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        raise refuse("its model is not BPE")
    for option in ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
        if model.get(option):
            raise refuse(f"its model has {option} = {model[option]!r}")
    if (document.get("decoder") or {}).get("type", "ByteLevel") not in ("ByteLevel", "Sequence"):
        raise refuse("its decoder is not ByteLevel")
    if "TemplateProcessing" in json.dumps(document.get("post_processor")):
        warnings.warn(
            f"{path} adds special tokens around each text (its post-processor); here nothing does: add them yourself",
            stacklevel=2,
        )
    pattern = _pattern(document.get("pre_tokenizer"), refuse)
    vocabulary, merges = model.get("vocab"), model.get("merges")
    if not isinstance(vocabulary, dict) or not isinstance(merges, list):
        raise refuse("its model lacks vocab or merges")
    pairs = [_pair(merge, refuse) for merge in merges]
    ids = checked_ids(vocabulary, path)
    for token in document.get("added_tokens") or []:
        name, index = _added(token, refuse)
        if ids.setdefault(name, index) != index:
            raise refuse(f"the added token {name!r} has two ids, {ids[name]} and {index}")
    tokenizer = from_tables(ids, pairs, pattern=pattern)
    added = {token["content"] for token in document.get("added_tokens") or []}
    if unknown := tokenizer.special_tokens.keys() - added:
        raise refuse(f"no merge makes the token {min(unknown)!r} of its vocab ({len(unknown)} such tokens)")
    if model.get("ignore_merges") and not _each_token_is_itself(tokenizer):
        raise refuse("ignore_merges would make a difference")
    return tokenizer


def _pattern(pre_tokenizer: Any, refuse: Any) -> str:
    steps = pre_tokenizer.get("pretokenizers") if (pre_tokenizer or {}).get("type") == "Sequence" else [pre_tokenizer]
    if not steps or not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise refuse("it has no ByteLevel pre-tokenizer")
    *splits, last = steps
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        raise refuse("its last pre-tokenizer is not ByteLevel without add_prefix_space")
    uses_regex = last.get("use_regex", True)
    if not splits:
        return PATTERNS["gpt2" if uses_regex else "none"]
    split = splits[0]
    if (
        len(splits) > 1
        or uses_regex
        or split.get("type") != "Split"
        or split.get("behavior") != "Isolated"
        or split.get("invert")
        or not isinstance(expression := (split.get("pattern") or {}).get("Regex"), str)
    ):
        raise refuse("its pre-tokenizers are not one Split by a Regex (Isolated), then ByteLevel without use_regex")
    return next((PATTERNS[name] for name, text in _PORTABLE.items() if text == expression), expression)


def _pair(merge: Any, refuse: Any) -> tuple[bytes, bytes]:
    left, right = merge.split(" ") if isinstance(merge, str) and merge.count(" ") == 1 else (*merge, "", "")[:2]
    if not isinstance(left, str) or not isinstance(right, str) or not left or not right:
        raise refuse(f"{merge!r} is not a merge")
    return from_printable(left), from_printable(right)


def _added(token: Any, refuse: Any) -> tuple[str, int]:
    if not isinstance(token, dict) or not isinstance(token.get("content"), str) or not isinstance(token.get("id"), int):
        raise refuse(f"{token!r} is not an added token")
    for option in ("single_word", "lstrip", "rstrip"):
        if token.get(option):
            raise refuse(f"the added token {token['content']!r} has {option}")
    return token["content"], token["id"]


def _each_token_is_itself(tokenizer: BytePairEncodingTokenizer) -> bool:
    whole = BytePairEncodingTokenizer(
        tokenizer.merges, byte_order=tokenizer.byte_order, pattern="none", special_tokens=(), backend="python"
    )
    return all(whole.encode_bytes(token) == [symbol] for symbol, token in enumerate(tokenizer.symbols))


def write_hugging_face(tokenizer: BytePairEncodingTokenizer, path: Path | str) -> None:
    """Write a tokenizer.json that gives every text the same ids. Raises ValueError where the pattern cannot be written."""
    write_text(Path(path), json.dumps(_document(tokenizer), ensure_ascii=False, indent=1))


def _document(tokenizer: BytePairEncodingTokenizer) -> Mapping[str, Any]:
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    without_regex = byte_level | {"use_regex": False}
    pre_tokenizer: dict[str, Any]
    if tokenizer.pattern == "gpt2":
        pre_tokenizer = byte_level
    elif tokenizer.pattern == "none":
        pre_tokenizer = without_regex
    else:
        expression = _PORTABLE.get(tokenizer.pattern, pattern_text(tokenizer.pattern))
        if re.search(r"(?<!\\)[$^]|\d\}\+|\\[zZA]", expression.replace("[^", "[")):
            raise ValueError(
                f"Hugging Face's engine reads the pattern {expression!r} differently ($, ^ and possessive counts): "
                "write it without these, or save the tokenizer in another format"
            )
        split = {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}
        pre_tokenizer = {"type": "Sequence", "pretokenizers": [split, without_regex]}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": index, "content": name, **flags}
            for name, index in sorted(tokenizer.special_tokens.items(), key=lambda item: item[1])
        ],
        "normalizer": None,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": printable_ids(tokenizer),
            "merges": [list(pair) for pair in printable_merges(tokenizer)],
        },
    }
