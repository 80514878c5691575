"""Coverage of a split pattern: whether it matches every text, so that nothing is ever skipped."""

from gpt_from_scratch.tokenizer.splitting.alphabet import Symbols
from gpt_from_scratch.tokenizer.splitting.pattern_parser import Parsed, Tree, nullable


def covers_every_text(parsed: Parsed) -> bool:
    """Whether a match begins at every character of every text, as far as the tree shows: then nothing is ever skipped."""
    return _sure(parsed.tree)[0] == parsed.alphabet.everything()


def _sure(tree: Tree) -> tuple[Symbols, bool, Symbols]:
    """The characters of which one alone is surely matched, whatever comes behind it; whether the empty text surely is; and
    the characters that a match without backtracking (possessive, atomic) may insist on taking.

    A part that cannot be backtracked into spoils what comes behind it wherever it may have begun to take characters.
    """
    kind = tree[0]
    none: Symbols = frozenset()
    if kind == "set":
        return tree[1], False, none
    if kind == "alt":
        parts = [_sure(part) for part in tree[1]]
        return none.union(*(p[0] for p in parts)), any(p[1] for p in parts), none.union(*(p[2] for p in parts))
    if kind == "cat":
        parts = [_sure(part) for part in tree[1]]
        found: Symbols = none
        insisted: Symbols = none
        for number, (one, _, stubborn) in enumerate(parts):
            if all(other[1] for place, other in enumerate(parts) if place != number):
                found |= one - insisted
            insisted |= stubborn
        return found, all(p[1] for p in parts), insisted
    if kind == "repeat":
        _, part, low, _, mode = tree
        one, empty, stubborn = _sure(part)
        if mode == "+":
            stubborn = stubborn | _first(part)
        return (one if low <= 1 or empty else none), low == 0 or empty, stubborn
    if kind == "atomic":
        one, empty, _ = _sure(tree[1])
        return one, empty, _first(tree[1])
    return none, False, none


def _first(tree: Tree) -> Symbols:
    """The characters with which a match may begin."""
    kind = tree[0]
    if kind == "set":
        return frozenset(tree[1])
    if kind == "cat":
        found: Symbols = frozenset()
        for part in tree[1]:
            found |= _first(part)
            if not nullable(part):
                break
        return found
    if kind == "alt":
        return frozenset().union(*map(_first, tree[1]))
    return _first(tree[1]) if kind in ("repeat", "atomic") else frozenset()
