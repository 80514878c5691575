"""GPT-2's two files: vocab.json, each token's id, and merges.txt, a merge a line, in printable characters."""

import json
from pathlib import Path

from gpt_from_scratch.support.files import write_text
from gpt_from_scratch.tokenizer.byte_pair_encoding import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.files import read_json
from gpt_from_scratch.tokenizer.formats.merge_list import assembled, merges_of_pairs
from gpt_from_scratch.tokenizer.formats.printable import from_printable, to_printable
from gpt_from_scratch.tokenizer.patterns import PATTERNS

_HEADER = "#version: 0.2"


def read_gpt2(
    vocabulary: Path | str, merges: Path | str, *, pattern: str = PATTERNS["gpt2"]
) -> BytePairEncodingTokenizer:
    """The tokenizer of the two files; tokens that are neither bytes nor merged become special tokens.

    Raises ValueError where the files are damaged or do not belong together.
    """
    ids = checked_ids(read_json(Path(vocabulary)), vocabulary)
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
        pairs.append((from_printable(left), from_printable(right)))
    return from_tables(ids, pairs, pattern=pattern)


def from_tables(ids: dict[str, int], pairs: list[tuple[bytes, bytes]], *, pattern: str) -> BytePairEncodingTokenizer:
    """The tokenizer of a table of ids by printable token and of merges in order."""
    made = {left + right for left, right in pairs} | {bytes([byte]) for byte in range(256)}
    spelled = {to_printable(token): token for token in made}
    tokens = {spelled[name]: index for name, index in ids.items() if name in spelled}
    special_tokens = {name: index for name, index in ids.items() if name not in spelled}
    return assembled(
        tokens, lambda symbols: merges_of_pairs(pairs, symbols), pattern=pattern, special_tokens=special_tokens
    )


def checked_ids(table: dict[str, object], source: Path | str) -> dict[str, int]:
    """The table, if it gives every token an id of its own; ValueError otherwise."""
    ids: dict[str, int] = {}
    for name, index in table.items():
        if not isinstance(index, int) or isinstance(index, bool) or index < 0:
            raise ValueError(f"{source}: the id of {name!r} is {index!r}, expected a number from 0")
        ids[name] = index
    if len(set(ids.values())) != len(ids):
        raise ValueError(f"{source}: two tokens have the same id")
    return ids


def printable_ids(tokenizer: BytePairEncodingTokenizer) -> dict[str, int]:
    """Every token's id by its printable characters, the special tokens' by their names; ValueError if two are alike."""
    ids = tokenizer.token_ids or list(range(256 + len(tokenizer.merges)))
    table = {to_printable(token): index for token, index in zip(tokenizer.decode_tokens_bytes(ids), ids, strict=True)}
    both = table.keys() & tokenizer.special_tokens.keys()
    if both or len(table) != len(ids):
        raise ValueError(f"this format cannot hold two tokens that are written alike: {sorted(both)[:3] or 'merges'}")
    return dict(sorted((table | tokenizer.special_tokens).items(), key=lambda item: item[1]))


def printable_merges(tokenizer: BytePairEncodingTokenizer) -> list[tuple[str, str]]:
    """The merges in order, in printable characters."""
    symbols = [to_printable(token) for token in tokenizer.symbols]
    return [(symbols[left], symbols[right]) for left, right in tokenizer.merges]


def write_gpt2(tokenizer: BytePairEncodingTokenizer, folder: Path | str) -> tuple[Path, Path]:
    """Write vocab.json and merges.txt into `folder`. They do not say which pattern splits the text (GPT-2's is usual)."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [_HEADER, *(f"{left} {right}" for left, right in printable_merges(tokenizer))]
    write_text(folder / "vocab.json", json.dumps(printable_ids(tokenizer), ensure_ascii=False))
    write_text(folder / "merges.txt", "\n".join(lines) + "\n")
    return folder / "vocab.json", folder / "merges.txt"
