"""Deterministic automaton of a split pattern: one table look-up per character, without backtracking.

`regex` finds the next word by trying alternatives. Here the trying is done once, for the pattern instead of the text:

1. The tree becomes a machine of small steps, in order of preference (Thompson's construction), and its sets of
   live steps become the states of a deterministic automaton that keeps that order (as RE2 does), so that it finds
   the same match as a backtracking engine: the first alternative that fits, as long as it can be.
2. A match is known to be over only some characters after its end: "'v" may become "'ve". So a state also remembers
   which characters came since the last possible end, and the table says which boundaries a character confirms: before
   it, or before one of its two predecessors, several at once if need be. Where more than two characters are pending
   (a space after a newline in GPT-4's pattern), the table says to go back to the last possible end.

The patterns' look-aheads see one character, which step 1 settles when that character is read.
"""

import functools
from collections import deque
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8, UInt32

from gpt_from_scratch.tokenizer.splitting.alphabet import Alphabet, Symbols
from gpt_from_scratch.tokenizer.splitting.pattern_parser import Tree, UnsupportedPatternError, nullable, parse_pattern
from gpt_from_scratch.tokenizer.splitting.patterns import pattern_text

# An entry of the table: the row of the next state, and what reading the character brings about.
BOUNDARY_HERE, BOUNDARY_ONE_BEFORE, BOUNDARY_TWO_BEFORE = 1, 2, 4
REMEMBER_TWO_BEFORE = 8
GO_BACK = 16
ROW_SHIFT = 5
# An entry of the table of pairs: boundaries before a pair's second character (1), its first, and the two before that; or
# PAIR_IS_SLOW if one of the two remembers or goes back.
PAIR_IS_SLOW = 16

_MAX_PENDING = 2
_MAX_STEPS = 1000
_MAX_STATES = 1000
_MAX_PAIR_ENTRIES = 1 << 22


class Automaton(NamedTuple):
    """The tables of one pattern; class 0 … n are what the characters differ in, the last one is the text's end."""

    table: UInt32[np.ndarray, " entries"]
    """Entry [row + class]; a row is a state's number times 2^width_bits. The scan begins in row 0."""
    pair_table: UInt32[np.ndarray, " pair_entries"]
    """The same for two characters at once, in half the time: entry [row * 2^width_bits + class * 2^width_bits + class]."""
    width_bits: int
    class_of_code_point: UInt8[np.ndarray, " code_points"]
    end_class: int
    safe_cuts: Bool[np.ndarray, "classes classes"]
    """[a, b]: between a character of class a and one of class b there is a boundary in whatever text, and nothing behind
    it can tell what came before: there a text may be cut."""


@functools.cache
def automaton(pattern: str) -> Automaton:
    """The automaton of a pattern (a name or an expression). Raises UnsupportedPatternError if it has none."""
    tree, alphabet, _ = parse_pattern(pattern_text(pattern))
    machine = _Machine(tree, alphabet)
    class_of_symbol, num_classes = _classes(machine)
    if num_classes > 256:
        raise UnsupportedPatternError("the pattern tells too many kinds of characters apart")
    end = num_classes - 1
    width_bits = end.bit_length()
    width = 1 << width_bits
    transitions = _Transducer(machine, class_of_symbol, num_classes, _MAX_PAIR_ENTRIES >> 2 * width_bits).transitions
    table = np.zeros((len(transitions), width), dtype=np.uint32)
    for state, row in enumerate(transitions):
        for one, (following, actions) in enumerate(row):
            table[state, one] = (following * width) << ROW_SHIFT | actions
    class_of_code_point = np.array(class_of_symbol, dtype=np.uint8)[alphabet.symbol_of_code_point()]
    return Automaton(
        table.ravel(),
        _pair_table(table, width_bits),
        width_bits,
        class_of_code_point,
        end,
        _safe_cuts(transitions, end),
    )


def _pair_table(table: UInt32[np.ndarray, "states width"], width_bits: int) -> UInt32[np.ndarray, " pair_entries"]:
    first = table[:, :, None]
    second = table[table >> ROW_SHIFT >> width_bits]
    slow = (first | second) & (REMEMBER_TWO_BEFORE | GO_BACK) != 0
    boundaries = (first & 7) << 1 | second & 7
    entries = second >> ROW_SHIFT << ROW_SHIFT | np.where(slow, PAIR_IS_SLOW, boundaries)
    pairs: UInt32[np.ndarray, " pair_entries"] = entries.astype(np.uint32).ravel()
    return pairs


class _Machine:
    """Steps ("set", symbols, next), ("next", symbols, next), ("split", steps in order of preference), ("match",)."""

    def __init__(self, tree: Tree, alphabet: Alphabet) -> None:
        self.alphabet = alphabet
        self.steps: list[Tree] = [("match",)]
        self.start = self.reach(self.build(tree, 0))
        if nullable(tree):
            raise UnsupportedPatternError("the pattern matches the empty text")

    def build(self, tree: Tree, following: int) -> int:
        """Add the steps of `tree`, after which comes step `following`; the number of its first step."""
        kind = tree[0]
        if kind in ("set", "next"):
            return self.add((kind, tree[1], following))
        if kind == "cat":
            for part in reversed(tree[1]):
                following = self.build(part, following)
            return following
        if kind == "alt":
            return self.add(("split", [self.build(part, following) for part in tree[1]]))
        if kind != "repeat":
            raise UnsupportedPatternError("a look around or an atomic group")
        _, part, low, high, mode = tree
        if mode == "+":
            self.check_possessive(part, following)
        order = slice(None, None, -1 if mode == "?" else 1)
        if high is None:
            loop = self.add(("split", []))
            self.steps[loop][1].extend([self.build(part, loop), following][order])
            following = loop
        else:
            end = following
            for _ in range(high - low):
                # From each further repetition the way leads past all the rest, hence to the same end.
                following = self.add(("split", [self.build(part, following), end][order]))
        for _ in range(low):
            following = self.build(part, following)
        return following

    def add(self, step: Tree) -> int:
        if len(self.steps) > _MAX_STEPS:
            raise UnsupportedPatternError("the pattern has too many steps")
        self.steps.append(step)
        return len(self.steps) - 1

    def check_possessive(self, part: Tree, following: int) -> None:
        """A possessive repetition equals a plain one where what follows cannot begin with what is repeated."""
        while part[0] == "cat" and len(part[1]) == 1:
            part = part[1][0]
        only_end = frozenset({self.alphabet.end})
        for step in (self.steps[number] for number in self.reach(following)):
            if (
                part[0] != "set"
                or (step[0] == "set" and step[1] & part[1])
                or (step[0] == "next" and step[1] != only_end)
            ):
                raise UnsupportedPatternError("a possessive repetition that matters")

    def reach(self, *steps: int) -> tuple[int, ...]:
        """The steps that wait for a character, or match, reachable from `steps` without reading; the preferred first."""
        found: dict[int, None] = {}
        visited: set[int] = set()
        stack = list(reversed(steps))
        while stack:
            number = stack.pop()
            if number in visited:
                continue
            visited.add(number)
            step = self.steps[number]
            if step[0] == "split":
                stack.extend(reversed(step[1]))
            else:
                found[number] = None
        return tuple(found)

    def read(self, state: tuple[int, ...], symbol: int) -> tuple[bool, tuple[int, ...]]:
        """Whether a match ends before `symbol`, and the state after it (without what is less preferred than the match)."""
        after: list[int] = []
        stack = list(reversed(state))
        seen: set[int] = set()
        while stack:
            number = stack.pop()
            if number in seen:
                continue
            seen.add(number)
            step = self.steps[number]
            if step[0] == "match":
                return True, self.reach(*after)
            if step[0] == "set" and symbol in step[1]:
                after.append(step[2])
            elif step[0] == "next" and symbol in step[1]:
                stack.extend(reversed(self.reach(step[2])))
        return False, self.reach(*after)


def _classes(machine: _Machine) -> tuple[list[int], int]:
    """The class of each symbol: two symbols that no set of the pattern tells apart share one; the end has the last."""
    sets: list[Symbols] = [step[1] for step in machine.steps if step[0] in ("set", "next")]
    numbers: dict[tuple[bool, ...], int] = {}
    classes = [
        numbers.setdefault(tuple(symbol in one for one in sets), len(numbers)) for symbol in range(machine.alphabet.end)
    ]
    return [*classes, len(numbers)], len(numbers) + 1


State = tuple[tuple[int, ...], bool, tuple[int, ...] | None, bool]
"""The automaton's state; whether a match could have ended; the classes read since (None: more than are kept); and
whether the character before was skipped."""


class _Transducer:
    """`transitions[state][class]` is (next state, actions)."""

    def __init__(self, machine: _Machine, class_of_symbol: list[int], num_classes: int, most_states: int) -> None:
        self.machine = machine
        self.symbol_of_class = [class_of_symbol.index(one) for one in range(num_classes)]
        self.end = num_classes - 1
        self.start: State = (machine.start, False, (), False)
        self.skipping: State = (machine.start, False, (), True)
        numbers: dict[State, int] = {self.start: 0}
        queue: deque[State] = deque([self.start])
        self.transitions: list[list[tuple[int, int]]] = []
        while queue:
            state = queue.popleft()
            row = []
            for one in range(num_classes):
                following, actions = self.feed(state, one)
                if following not in numbers:
                    if len(numbers) >= min(_MAX_STATES, most_states):
                        raise UnsupportedPatternError("the pattern has too many states")
                    numbers[following] = len(numbers)
                    queue.append(following)
                row.append((numbers[following], actions))
            self.transitions.append(row)

    def feed(self, state: State, one: int) -> tuple[State, int]:
        """The state after a character of class `one`, and the actions that reading it brings about."""
        live, accepted, pending, skipped = state
        match_ends, after = self.machine.read(live, self.symbol_of_class[one])
        begins = 0
        if match_ends:
            if skipped:
                begins, skipped = BOUNDARY_HERE << len(pending or ()), False
            accepted, pending = True, ()
        if after and one != self.end:
            if pending is None or len(pending) < _MAX_PENDING:
                return (after, accepted, None if pending is None else (*pending, one), skipped), begins
            if not accepted:
                raise UnsupportedPatternError("the pattern looks too far ahead")
            return (after, True, None, False), REMEMBER_TWO_BEFORE
        if pending is None:
            return self.start, GO_BACK
        if accepted:
            # The word ends before the pending characters, which are read again from the start, and then this one.
            return self.feed_all(self.start, (*pending, one), begins | BOUNDARY_HERE << len(pending))
        if not pending and one == self.end:
            return self.start, BOUNDARY_HERE if skipped else 0
        # No match begins at the first pending character, which is skipped.
        return self.feed_all(self.skipping, (*pending, one)[1:], 0)

    def feed_all(self, state: State, characters: tuple[int, ...], actions: int) -> tuple[State, int]:
        """As `feed` of one class after another, of which the last is the current one; `actions` are done already."""
        for back, character in zip(range(len(characters) - 1, -1, -1), characters, strict=True):
            state, more = self.feed(state, character)
            if more & (REMEMBER_TWO_BEFORE | GO_BACK):
                raise UnsupportedPatternError("the pattern looks too far ahead")
            actions |= more << back
        return state, actions


def _safe_cuts(transitions: list[list[tuple[int, int]]], end: int) -> Bool[np.ndarray, "classes classes"]:
    """[a, b]: b after a always confirms a boundary before b, exactly as the text's end would, and begins afresh."""
    safe = np.zeros((end, end), dtype=bool)
    for a in range(end):
        states = {row[a][0] for row in transitions if not row[a][1] & GO_BACK}
        for b in range(end):
            fresh = transitions[0][b][0]
            safe[a, b] = all(
                transitions[state][b] == (fresh, transitions[state][end][1])
                and transitions[state][b][1] & BOUNDARY_HERE
                for state in states
            )
    return safe
