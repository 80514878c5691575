"""The optional package tiktoken: its import, its panics as errors, and an `Encoding` made from a byte pair encoding."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gpt_from_scratch.support.command_line.invocation import how_to_install
from gpt_from_scratch.tokenizer.splitting.engines import TIKTOKEN, for_engine

if TYPE_CHECKING:
    import tiktoken


def encoding_of(
    name: str, pattern: str, ranks: Mapping[bytes, int], special_tokens: Mapping[str, int]
) -> "tiktoken.Encoding":
    """A `tiktoken.Encoding` of a table of ranks. Raises ValueError where tiktoken would split by the pattern otherwise."""
    theirs = for_engine(pattern, TIKTOKEN)
    with without_panics():
        return import_tiktoken().Encoding(
            name, pat_str=theirs, mergeable_ranks=dict(ranks), special_tokens=dict(special_tokens)
        )


def ranks_of(ids: Sequence[int], tokens: Sequence[bytes]) -> dict[bytes, int]:
    """The table of ranks of a tokenizer: the ids of the bytes and of the merges in order, and the bytes of each.

    Raises:
        ValueError: the ids are not in the order of the merges, or two tokens have the same bytes.
    """
    if list(ids[256:]) != sorted(ids[256:]):
        raise ValueError("tiktoken merges in the order of the ids, and this tokenizer's merges have another order")
    ranks = dict(zip(tokens, ids, strict=True))
    if len(ranks) != len(ids):
        raise ValueError("tiktoken cannot have two tokens with the same bytes, and this tokenizer has some")
    return ranks


def import_tiktoken() -> Any:
    """The tiktoken package; RuntimeError says how to install it where it is missing."""
    try:
        import tiktoken
    except ImportError as error:
        raise RuntimeError(f"this tokenizer needs the tiktoken package: {how_to_install('tiktoken')}") from error
    return tiktoken


@contextlib.contextmanager
def without_panics() -> Iterator[None]:
    """Turn a panic of tiktoken's Rust code, which is no Exception and would pass every handler, into a ValueError."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"tiktoken failed: {error}") from None
