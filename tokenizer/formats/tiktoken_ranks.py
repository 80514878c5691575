"""tiktoken's files (one line a token: its bytes in base64, a space, its rank), read and written, and its `Encoding`, read."""

import base64
import binascii
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gpt_from_scratch.support.storage.files import write_bytes
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.fields import named
from gpt_from_scratch.tokenizer.formats.merge_list import assembled, merges_of_tokens
from gpt_from_scratch.tokenizer.splitting.engines import TIKTOKEN, from_engine
from gpt_from_scratch.tokenizer.splitting.patterns import pattern_text

if TYPE_CHECKING:
    import tiktoken


def from_ranks(
    ranks: Mapping[bytes, int], *, pattern: str, special_tokens: Mapping[str, int]
) -> BytePairEncodingTokenizer:
    """The tokenizer of a table of ranks, which are its ids; `pattern` is a name or an expression.

    Raises ValueError if a byte is missing, if the ranks are not those of a byte pair encoding, or if tiktoken may split by
    the pattern otherwise (`engines`).
    """
    if len(set(ranks.values())) != len(ranks):
        raise ValueError("two tokens of the table have the same rank")
    tokens = [token for token in sorted(ranks, key=ranks.__getitem__) if len(token) != 1]
    tokenizer = assembled(
        ranks,
        lambda symbols: merges_of_tokens(tokens, symbols),
        pattern=pattern_text(pattern),
        special_tokens=special_tokens,
    )
    from_engine(pattern_text(pattern), TIKTOKEN)
    return tokenizer


def from_tiktoken(encoding: "tiktoken.Encoding") -> BytePairEncodingTokenizer:
    """The same tokenizer as tiktoken's, with the same ids."""
    tokenizer = from_ranks(
        encoding._mergeable_ranks, pattern=encoding._pat_str, special_tokens=dict(encoding._special_tokens)
    )
    tokenizer.name = encoding.name
    return tokenizer


def write_ranks(tokenizer: BytePairEncodingTokenizer, path: Path | str) -> None:
    """Write tiktoken's file. It holds no pattern and no special tokens: who reads it must know them."""
    ranks = sorted(tokenizer.ranks().items(), key=lambda item: item[1])
    write_bytes(Path(path), b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks))


def read_ranks(path: Path | str, *, pattern: str, special_tokens: Mapping[str, int]) -> BytePairEncodingTokenizer:
    """Read tiktoken's file. Raises ValueError on a line that is not one of its, on a missing rank that is no special
    token's id, and as `from_ranks` does."""
    ranks: dict[bytes, int] = {}
    line_of_rank: dict[int, int] = {}
    for number, line in enumerate(Path(path).read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            spelled, rank = line.split()
            token = base64.b64decode(spelled, validate=True)
            index = int(rank)
        except (ValueError, binascii.Error) as error:
            raise ValueError(
                f"{path}, line {number}: expected a token in base64, a space and its rank, got {line[:60]!r} ({error})"
            ) from error
        if not token or token in ranks or index < 0:
            raise ValueError(
                f"{path}, line {number}: the token {token!r} is empty or there twice, or its rank negative"
            )
        if (earlier := line_of_rank.setdefault(index, number)) != number:
            raise ValueError(f"{path}, line {number}: the same rank as in line {earlier}, {index}")
        ranks[token] = index
    with named(path):
        tokenizer = from_ranks(ranks, pattern=pattern, special_tokens=special_tokens)
        used = {*ranks.values(), *special_tokens.values()}
        missing = next(rank for rank in itertools.count(min(ranks.values())) if rank not in used)
        if missing < max(ranks.values()):
            raise ValueError(
                f"the rank {missing} is missing: the file is not whole, or that is the id of a special token, which must be "
                "given"
            )
    return tokenizer


def free_ranks(path: Path | str) -> Iterator[int]:
    """The numbers that no line of tiktoken's file has as its rank, in ascending order: what special tokens may have as ids."""
    last_words = (line.split()[-1] for line in Path(path).read_bytes().split(b"\n") if line.strip())
    used = {int(word) for word in last_words if word.isdigit()}
    return (rank for rank in itertools.count() if rank not in used)
