"""Merge trees: the two tokens that a merge joined, theirs in turn, down to the bytes."""

from collections.abc import Mapping
from dataclasses import dataclass

from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.tiktoken_wrapper import TiktokenTokenizer
from gpt_from_scratch.tokenizer.views.tokens import AnyTokenizer, Token


@dataclass(frozen=True)
class Node:
    """A token that occurs in the trees of a text."""

    index: int
    """Its id."""
    data: bytes
    merge: int
    """The number of the merge that makes it, from 1; 0 for a byte, and for a token that no merge makes."""
    left: bytes = b""
    right: bytes = b""


def nodes_of(tokenizer: AnyTokenizer, tokens: list[Token]) -> dict[bytes, Node]:
    """All tokens in the trees of `tokens`, by their bytes. A tokenizer without merges has leaves only."""
    if isinstance(tokenizer, BytePairEncodingTokenizer):
        split = _of_merges(tokenizer)
    elif hasattr(tokenizer, "_mergeable_ranks") or isinstance(tokenizer, TiktokenTokenizer):
        encoding = tokenizer.encoding if isinstance(tokenizer, TiktokenTokenizer) else tokenizer
        split = _OfRanks(encoding._mergeable_ranks)
    else:
        return {token.data: Node(token.index, token.data, 0) for token in tokens}
    nodes: dict[bytes, Node] = {}
    waiting = [token.data for token in tokens]
    while waiting:
        data = waiting.pop()
        if data not in nodes:
            nodes[data] = node = split[data]
            waiting += [part for part in (node.left, node.right) if part]
    return nodes


def _of_merges(tokenizer: BytePairEncodingTokenizer) -> Mapping[bytes, Node]:
    ids = tokenizer.token_ids or range(len(tokenizer.symbols))
    nodes: dict[bytes, Node] = {}
    for symbol, (index, data) in enumerate(zip(ids, tokenizer.symbols, strict=True)):
        left, right = tokenizer.merges[symbol - 256] if symbol >= 256 else (None, None)
        if left is None or right is None:
            nodes[data] = Node(index, data, 0)
        else:
            # Where two merges make the same bytes, the first one is met in texts.
            nodes.setdefault(data, Node(index, data, symbol - 255, tokenizer.symbols[left], tokenizer.symbols[right]))
    return nodes


class _OfRanks(dict[bytes, Node]):
    """A table of ranks does not say what each token was made of: merging its bytes by earlier ranks does."""

    def __init__(self, ranks: Mapping[bytes, int]) -> None:
        self.ranks = ranks

    def __missing__(self, data: bytes) -> Node:
        index = self.ranks[data]
        if len(data) == 1:
            return Node(index, data, 0)
        parts = [bytes([byte]) for byte in data]
        while len(parts) > 2:
            rank, place = min((self.ranks.get(parts[i] + parts[i + 1], index), i) for i in range(len(parts) - 1))
            if rank == index:
                return Node(index, data, 0)
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
        return Node(index, data, index - 255, *parts)


def tokens_after(nodes: Mapping[bytes, Node], tokens: list[Token]) -> list[tuple[int, int]]:
    """(merge, tokens): how many tokens the text has once all merges up to that one are made, where that changes."""
    times: dict[int, int] = {}
    uses: dict[bytes, int] = {}
    for token in tokens:
        uses[token.data] = uses.get(token.data, 0) + 1
    # From the latest merge to the earliest, so that a token's uses are known before its parts'.
    for node in sorted(nodes.values(), key=lambda node: -node.merge):
        used = uses.get(node.data, 0)
        if node.merge:
            times[node.merge] = times.get(node.merge, 0) + used
            for part in (node.left, node.right):
                uses[part] = uses.get(part, 0) + used
    count = len(tokens) + sum(times.values())
    curve = [(0, count)]
    for merge in sorted(times):
        count -= times[merge]
        curve.append((merge, count))
    return curve
