"""Conversion of a pattern's tree to an expression for Python's `re`, with sets as ranges of the pinned Unicode table."""

import re

import numpy as np

from gpt_from_scratch.tokenizer.splitting.alphabet import Symbols
from gpt_from_scratch.tokenizer.splitting.pattern_parser import Parsed, Tree


def as_re(parsed: Parsed, stop: int) -> str:
    """The expression of a pattern for texts without code points from `stop` on; 128 gives the one for ASCII texts."""
    symbols, everything = parsed.alphabet.symbol_of_code_point()[:stop], parsed.alphabet.everything()
    # Some thousand runs of one symbol, instead of a million characters for each set.
    starts = np.flatnonzero(np.diff(symbols, prepend=parsed.alphabet.end))
    symbol_of_run, ends = symbols[starts], np.append(starts, stop)
    written: dict[Symbols, str] = {}

    def one_of(members: Symbols) -> str:
        if members not in written:
            is_member = np.zeros(parsed.alphabet.end, dtype=bool)
            is_member[[symbol for symbol in members if symbol != parsed.alphabet.end]] = True
            turns = np.flatnonzero(np.diff(is_member[symbol_of_run], prepend=False, append=False))
            edges = ends[turns].reshape(-1, 2).tolist()
            if not edges:
                written[members] = "(?!)"
            elif len(edges) == 1 and edges[0][1] == edges[0][0] + 1:
                written[members] = re.escape(chr(edges[0][0]))
            else:
                written[members] = "[" + "".join(f"\\U{first:08x}-\\U{last - 1:08x}" for first, last in edges) + "]"
        return written[members]

    def write(tree: Tree) -> str:
        kind = tree[0]
        if kind == "set":
            return one_of(tree[1])
        if kind == "cat":
            return "".join(map(write, tree[1]))
        if kind == "alt":
            return f"(?:{'|'.join(map(write, tree[1]))})"
        if kind == "repeat":
            _, part, low, high, mode = tree
            sign = {(0, 1): "?", (0, None): "*", (1, None): "+"}.get(
                (low, high), f"{{{low},{'' if high is None else high}}}"
            )
            inside = write(part)
            return f"{inside if part[0] in ('set', 'alt') else f'(?:{inside})'}{sign}{mode}"
        if kind == "next":
            if parsed.alphabet.end not in tree[1]:
                return f"(?={one_of(tree[1])})"
            return f"(?!{one_of(everything - tree[1])})" if len(tree[1]) > 1 else r"\Z"
        if kind == "atomic":
            return f"(?>{write(tree[1])})"
        _, part, ahead, negative = tree
        return f"(?{'' if ahead else '<'}{'!' if negative else '='}{write(part)})"

    return write(parsed.tree)
