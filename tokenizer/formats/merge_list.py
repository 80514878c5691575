"""Conversion of other programs' tokens and merges to a `BytePairEncodingTokenizer`."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from gpt_from_scratch.tokenizer.bpe.byte_order import byte_symbols
from gpt_from_scratch.tokenizer.bpe.reference import Pair, encode_word
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.splitting.patterns import PATTERNS


def merges_of_tokens(tokens: Sequence[bytes], byte_symbols: Sequence[int]) -> list[Pair]:
    """The merges behind tokens that were learnt in this order, as tiktoken's files list them (without the single bytes).

    tiktoken joins two neighbours if their bytes together are a token, the earliest token first. That equals merging
    pairs wherever each token, encoded with the tokens before it, comes to exactly two: just these two can ever stand
    side by side where the token is made, since nothing has been joined across the token's ends until then. A list of
    which that is not true was not made by byte pair encoding, and is refused with ValueError.
    """
    ranks: dict[Pair, int] = {}
    for rank, token in enumerate(tokens):
        if not token:
            raise ValueError("the table has an empty token")
        symbols = encode_word([byte_symbols[byte] for byte in token], ranks)
        if len(symbols) != 2:
            raise ValueError(
                f"token {token!r} (number {256 + rank}) is not a join of two earlier tokens, but of {len(symbols)}: these "
                "are not the ranks of a byte pair encoding"
            )
        ranks[symbols[0], symbols[1]] = 256 + rank
    return list(ranks)


def merges_of_pairs(pairs: Iterable[tuple[bytes, bytes]], byte_symbols: Sequence[int]) -> list[Pair]:
    """The merges of pairs of tokens in order, as Hugging Face's and GPT-2's files list them.

    A second way to make a token (which files converted from tiktoken's contain) is left out: where the first makes
    it, the second can never come to pass. Raises ValueError on a pair of what does not exist yet.
    """
    symbol_of = {bytes([byte]): byte_symbols[byte] for byte in range(256)}
    ranks: dict[Pair, int] = {}
    for left, right in pairs:
        if left not in symbol_of or right not in symbol_of:
            missing = left if left not in symbol_of else right
            raise ValueError(f"the merge of {left!r} and {right!r} uses {missing!r}, which no earlier merge makes")
        token = left + right
        if token not in symbol_of:
            symbol_of[token] = 256 + len(ranks)
            ranks[symbol_of[left], symbol_of[right]] = symbol_of[token]
        elif len(encode_word([byte_symbols[byte] for byte in token], ranks)) != 1:
            raise ValueError(f"{token!r} is made by two merges, of which the first never comes to pass")
    return list(ranks)


def assembled(
    ids: Mapping[bytes, int],
    merges_for: Callable[[Sequence[int]], list[Pair]],
    *,
    pattern: str,
    special_tokens: Mapping[str, int],
    added_tokens: Mapping[str, int] | None = None,
) -> BytePairEncodingTokenizer:
    """The tokenizer of a table of all tokens' ids; `merges_for` gets each byte's symbol and gives the merges.

    Raises ValueError if a byte is missing, or a token is neither a byte nor made by a merge.
    """
    if missing := [byte for byte in range(256) if bytes([byte]) not in ids]:
        raise ValueError(f"the table lacks the single bytes {missing[:8]}: it could not encode every text")
    in_order = sorted(range(256), key=lambda byte: ids[bytes([byte])])
    byte_order = "gpt2" if in_order == sorted(range(256), key=byte_symbols("gpt2").__getitem__) else "raw"
    merges = merges_for(byte_symbols(byte_order))
    spelled = BytePairEncodingTokenizer(merges, byte_order=byte_order, special_tokens=()).decode_tokens_bytes(
        range(256 + len(merges))
    )
    if unknown := [token for token in spelled if token not in ids]:
        raise ValueError(f"the table has no id for {unknown[0]!r}, which a merge makes")
    if unmade := ids.keys() - set(spelled):
        raise ValueError(f"no merge makes the token {min(unmade)!r} of the table ({len(unmade)} such tokens)")
    token_ids = [ids[token] for token in spelled]
    return BytePairEncodingTokenizer(
        merges,
        pattern=next((name for name, text in PATTERNS.items() if text == pattern), pattern),
        special_tokens=special_tokens,
        added_tokens=added_tokens or {},
        byte_order=byte_order,
        token_ids=None if token_ids == list(range(len(token_ids))) else token_ids,
    )
