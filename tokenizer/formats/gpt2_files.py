"""GPT-2's two files: vocab.json, each token's id, and merges.txt, a merge a line, in printable characters."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path

from gpt_from_scratch.support.storage.files import write_text
from gpt_from_scratch.tokenizer.bpe.printable import from_printable, to_printable
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.fields import JsonNode, named
from gpt_from_scratch.tokenizer.file_format import read_json
from gpt_from_scratch.tokenizer.formats.merge_list import assembled, merges_of_pairs
from gpt_from_scratch.tokenizer.splitting.patterns import PATTERNS

_HEADER = "#version: 0.2"


def read_gpt2(
    vocabulary: Path | str, merges: Path | str, *, pattern: str = PATTERNS["gpt2"]
) -> BytePairEncodingTokenizer:
    """The tokenizer of the two files; tokens that are neither bytes nor merged become special tokens.

    Raises ValueError where the files are damaged or do not belong together.
    """
    with named(vocabulary):
        ids = checked_ids(JsonNode(read_json(Path(vocabulary)), "", str(vocabulary)))
    try:
        lines = Path(merges).read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{merges} is not UTF-8: {error}") from error
    pairs: list[tuple[bytes, bytes]] = []
    for number, line in enumerate(lines, start=1):
        if not line or (number == 1 and line.startswith("#version")):
            continue
        left, space, right = line.partition(" ")
        if not space or not left or not right or " " in right:
            raise ValueError(f"{merges}, line {number}: expected two tokens with a space between, got {line[:60]!r}")
        with named(f"{merges}, line {number}"):
            pairs.append((from_printable(left), from_printable(right)))
    with named(f"{vocabulary} with {merges}"):
        return from_tables(ids, pairs, pattern=pattern)


def from_tables(
    ids: dict[str, int],
    pairs: list[tuple[bytes, bytes]],
    *,
    pattern: str,
    special_tokens: Mapping[str, int] | None = None,
    added_tokens: Mapping[str, int] | None = None,
) -> BytePairEncodingTokenizer:
    """The tokenizer of a table of ids by printable token and of merges in order.

    `special_tokens` and `added_tokens` may be in the table or not. Where no special tokens are given they are those of
    the table that no merge makes; else there must be none. Raises ValueError as `assembled` does.
    """
    made = {left + right for left, right in pairs} | {bytes([byte]) for byte in range(256)}
    spelled = {to_printable(token): token for token in made}
    tokens = {spelled[name]: index for name, index in ids.items() if name in spelled}
    others = {name: index for name, index in ids.items() if name not in spelled}
    always = added_tokens or {}
    tokenizer = assembled(
        tokens,
        lambda symbols: merges_of_pairs(pairs, symbols),
        pattern=pattern,
        special_tokens={name: index for name, index in others.items() if name not in always}
        | dict(special_tokens or {}),
        added_tokens=always,
    )
    if special_tokens is not None and (unknown := sorted(others.keys() - special_tokens.keys() - always.keys())):
        raise ValueError(f"no merge makes the token {unknown[0]!r} of its vocab ({len(unknown)} such tokens)")
    return tokenizer


def checked_ids(table: JsonNode) -> dict[str, int]:
    """The table, if it gives every token an id of its own; ValueError otherwise."""
    ids: dict[str, int] = {}
    for name, index in table.object().items():
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < 1 << 31:
            raise table.error(f"gives no id: the id of {name[:40]!r} is {str(index)[:40]}, expected a number from 0")
        ids[name] = index
    if len(set(ids.values())) != len(ids):
        raise table.error("is damaged: two tokens have the same id")
    return ids


def printable_ids(tokenizer: BytePairEncodingTokenizer) -> dict[str, int]:
    """Every token's id by its printable characters, the special tokens' by their names; ValueError if two are alike."""
    ids = tokenizer.token_ids or list(range(256 + len(tokenizer.merges)))
    table = {to_printable(token): index for token, index in zip(tokenizer.decode_tokens_bytes(ids), ids, strict=True)}
    others = {
        name: index
        for name, index in (tokenizer.special_tokens | tokenizer.added_tokens).items()
        if table.get(name) != index
    }
    both = table.keys() & others.keys() or {name for name, index in others.items() if index in table.values()}
    if both or len(table) != len(ids):
        raise ValueError(f"this format cannot hold two tokens that are written alike: {sorted(both)[:3] or 'merges'}")
    return dict(sorted((table | others).items(), key=lambda item: item[1]))


def printable_merges(tokenizer: BytePairEncodingTokenizer) -> list[tuple[str, str]]:
    """The merges in order, in printable characters."""
    symbols = [to_printable(token) for token in tokenizer.symbols]
    return [(symbols[left], symbols[right]) for left, right in tokenizer.merges]


def write_gpt2(tokenizer: BytePairEncodingTokenizer, folder: Path | str) -> tuple[Path, Path]:
    """Write vocab.json and merges.txt into `folder`. Warns where the pattern is not GPT-2's, which programs that read them use.

    Raises ValueError on added tokens, which these files cannot hold.
    """
    if tokenizer.added_tokens:
        raise ValueError(f"GPT-2's files cannot hold added tokens, such as {next(iter(tokenizer.added_tokens))!r}")
    if tokenizer.pattern != "gpt2":
        warnings.warn(
            f"vocab.json and merges.txt hold no pattern: who reads them must be told it is {tokenizer.pattern!r}",
            stacklevel=2,
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [_HEADER, *(f"{left} {right}" for left, right in printable_merges(tokenizer))]
    write_text(folder / "vocab.json", json.dumps(printable_ids(tokenizer), ensure_ascii=False))
    write_text(folder / "merges.txt", "\n".join(lines) + "\n")
    return folder / "vocab.json", folder / "merges.txt"
