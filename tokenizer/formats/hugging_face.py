"""Reader and writer of Hugging Face's tokenizer.json. A feature that would change ids is an error."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.storage.files import write_text
from gpt_from_scratch.tokenizer.bpe.printable import from_printable
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.fields import JsonNode, named
from gpt_from_scratch.tokenizer.file_format import read_json
from gpt_from_scratch.tokenizer.formats.added_tokens import added_tokens
from gpt_from_scratch.tokenizer.formats.gpt2_files import checked_ids, from_tables, printable_ids, printable_merges
from gpt_from_scratch.tokenizer.splitting.engines import ONIGURUMA, for_engine, from_engine
from gpt_from_scratch.tokenizer.splitting.patterns import PATTERNS

_ADVICE = "only a byte-level BPE tokenizer that does nothing else can be read"
_BYTE_LEVEL_FIELDS = ("add_prefix_space", "trim_offsets", "use_regex")


def read_hugging_face(path: Path | str) -> BytePairEncodingTokenizer:
    """The tokenizer of a byte-level BPE tokenizer.json.

    Added tokens that are special become special tokens (`encode` with allowed_special="all" is their `encode`); the others
    always cut the text. Raises ValueError on damage and on whatever cannot be honoured: normalizers, other
    pre-tokenizers, dropout, truncation, fields that are not known … A post-processor that adds tokens around a text is
    left out, with a warning. Each error and warning names the file and the field.
    """
    document = JsonNode(read_json(Path(path)), "", str(path))
    with named(path):
        return _read(document)


def _read(document: JsonNode) -> BytePairEncodingTokenizer:
    document.only(
        *(
            "version",
            "truncation",
            "padding",
            "added_tokens",
            "normalizer",
            "pre_tokenizer",
            "post_processor",
            "decoder",
        ),
        "model",
    )
    if document.get("version", "1.0") != "1.0":
        raise document["version"].error("is not '1.0', the only version there is")
    for field in ("normalizer", "truncation", "padding"):
        if document.get(field) is not None:
            raise ValueError(f"it has a {field}, {json.dumps(document.get(field))[:80]}; {_ADVICE}")
    model = document["model"]
    if model.get("type", "BPE") != "BPE":
        raise ValueError(f"its model is not BPE, but {model.get('type')!r}; {_ADVICE}")
    pattern = _pattern(document)
    _check_decoder(document)
    _warn_of_post_processor(document)
    if not isinstance(model.get("vocab"), dict) or not isinstance(model.get("merges"), list):
        raise ValueError(f"its model lacks vocab (an object) or merges (a list); {_ADVICE}")
    pairs = [_pair(merge) for merge in model["merges"].items_of_list()]
    ids = checked_ids(model["vocab"])
    _check_model(model)
    special, always = (
        added_tokens(document["added_tokens"], ids) if document.get("added_tokens") is not None else ({}, {})
    )
    tokenizer = from_tables(ids, pairs, pattern=pattern, special_tokens=special, added_tokens=always)
    if model.get("ignore_merges") and not _each_token_is_itself(tokenizer):
        raise model["ignore_merges"].error("would make a difference: some token is not what its merges make")
    return tokenizer


def _check_model(model: JsonNode) -> None:
    known = ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "fuse_unk")
    model.only("type", "vocab", "merges", "ignore_merges", *known)
    for option in ("ignore_merges", "fuse_unk", "byte_fallback"):
        if model.get(option) is not None:
            model[option].boolean()
    for option in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
        if value := model.get(option):
            raise ValueError(f"its model has {option} = {value!r}; {_ADVICE}")
    for option in ("unk_token", "fuse_unk"):
        if value := model.get(option):
            model[option].warn(f"{value!r} is left out: no byte is unknown to this vocabulary")


def _pattern(document: JsonNode) -> str:
    """The split pattern of the pre-tokenizers."""
    if document.get("pre_tokenizer") is None:
        raise ValueError(f"it has no ByteLevel pre-tokenizer; {_ADVICE}")
    pre_tokenizer = document["pre_tokenizer"]
    steps = [pre_tokenizer]
    if pre_tokenizer.get("type") == "Sequence":
        pre_tokenizer.only("type", "pretokenizers")
        steps = pre_tokenizer["pretokenizers"].items_of_list()
    last = steps[-1] if steps else pre_tokenizer
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space", True):
        raise last.error(
            f"is not ByteLevel without add_prefix_space: the last pre-tokenizer is not ByteLevel; {_ADVICE}"
        )
    last.only("type", *_BYTE_LEVEL_FIELDS)
    uses_regex = last["use_regex"].boolean() if last.get("use_regex") is not None else True
    if len(steps) == 1:
        return PATTERNS["gpt2" if uses_regex else "none"]
    split = steps[0]
    if len(steps) > 2 or uses_regex or split.get("type") != "Split":
        raise pre_tokenizer.error(f"is not one Split by a Regex, then ByteLevel without use_regex; {_ADVICE}")
    split.only("type", "pattern", "behavior", "invert")
    if split.get("behavior") != "Isolated":
        raise split.error(f"has the behavior {split.get('behavior')!r}, not 'Isolated'; {_ADVICE}")
    if split.get("invert"):
        raise split["invert"].error(f"is {split.get('invert')!r}; {_ADVICE}")
    split["pattern"].only("Regex")
    return from_engine(split["pattern"]["Regex"].text(), ONIGURUMA)


def _check_decoder(document: JsonNode) -> None:
    """Raise ValueError unless the decoder is ByteLevel (whose own fields change nothing in decoding)."""
    decoders = [document["decoder"]] if document.get("decoder") is not None else []
    if decoders and decoders[0].get("type") == "Sequence":
        decoders[0].only("type", "decoders")
        decoders = decoders[0]["decoders"].items_of_list()
    if len(decoders) != 1 or decoders[0].get("type") != "ByteLevel":
        raise ValueError(f"its decoder is not ByteLevel: {json.dumps(document.get('decoder'))[:80]}; {_ADVICE}")
    decoders[0].only("type", *_BYTE_LEVEL_FIELDS)


def _warn_of_post_processor(document: JsonNode) -> None:
    """Warn of each post-processor that adds tokens. ByteLevel changes offsets only, which are not read here."""
    if document.get("post_processor") is None:
        return
    processors = [document["post_processor"]]
    while processors:
        processor = processors.pop()
        kind = processor["type"].text()
        if kind == "Sequence":
            processors += processor["processors"].items_of_list()
        elif kind in ("TemplateProcessing", "RobertaProcessing", "BertProcessing"):
            processor.warn(
                f"{kind} adds special tokens around each text (its post-processor); here nothing does: add them yourself"
            )
        elif kind != "ByteLevel":
            raise processor["type"].error(f"{kind!r} is not known; {_ADVICE}")


def _pair(merge: JsonNode) -> tuple[bytes, bytes]:
    value = merge.value
    parts = value.split(" ") if isinstance(value, str) else value
    if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) and part for part in parts):
        raise merge.error(f"{json.dumps(value)[:60]} is not a merge: expected two tokens")
    try:
        return from_printable(parts[0]), from_printable(parts[1])
    except ValueError as error:
        raise merge.error(str(error)) from None


def _each_token_is_itself(tokenizer: BytePairEncodingTokenizer) -> bool:
    whole = BytePairEncodingTokenizer(
        tokenizer.merges, byte_order=tokenizer.byte_order, pattern="none", special_tokens=(), backend="python"
    )
    return all(whole.encode_bytes(token) == [symbol] for symbol, token in enumerate(tokenizer.symbols))


def write_hugging_face(tokenizer: BytePairEncodingTokenizer, path: Path | str) -> None:
    """Write a tokenizer.json that gives every text the same ids. Raises ValueError where the pattern cannot be written."""
    write_text(Path(path), json.dumps(document_of(tokenizer), ensure_ascii=False, indent=1))


def document_of(tokenizer: BytePairEncodingTokenizer) -> Mapping[str, Any]:
    """The content of a tokenizer.json. Raises ValueError as `write_hugging_face` does."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    without_regex = byte_level | {"use_regex": False}
    pre_tokenizer: dict[str, Any]
    if tokenizer.pattern == "gpt2":
        pre_tokenizer = byte_level
    elif tokenizer.pattern == "none":
        pre_tokenizer = without_regex
    else:
        expression = for_engine(tokenizer.pattern, ONIGURUMA)
        split = {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}
        pre_tokenizer = {"type": "Sequence", "pretokenizers": [split, without_regex]}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = {index: (name, True) for name, index in tokenizer.special_tokens.items()}
    added |= {index: (name, False) for name, index in tokenizer.added_tokens.items()}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": index, "content": name, **flags, "special": special}
            for index, (name, special) in sorted(added.items())
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
