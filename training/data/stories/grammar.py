"""A probabilistic grammar of whole texts with memory and a known probability for every choice.

A grammar is a table of rules. A rule is a list of alternatives (equally likely, or ``(weight, alternative)`` pairs), and an
alternative is a template with holes:

    {rule}                          a rule is expanded here
    {hero=children}                 a row is drawn from a table, remembered as ``hero``, and its first column written
    {spot.Name=place.spots}         drawn from a list that belongs to a row drawn earlier; written in the form ``Name``
    {friend=children except hero}   drawn without replacement
    {hero} {hero.his} {hero.His}    an earlier row again, in one of its forms; a capital asks for the capitalised form

So agreement and reference across sentences come from remembered rows, and the probability of a derivation is the product of
its choices. Three walks over one structure: `write` draws a text, `read` finds every derivation of a text, `bound` follows
all paths at once, to refuse a hole that nothing can fill and to bound what may be written.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from gpt_from_scratch.training.data.stories.tables import Row, Table

HOLE = re.compile(r"\{([^{}]*)\}")
HOLE_CONTENT = re.compile(r"(?P<name>\w+)(\.(?P<form>\w+))?(=(?P<source>[\w.]+)( except (?P<others>[\w ]+))?)?")


Memory = dict[str, Row]
Alternatives = Sequence[str | tuple[int, str]]


class Choice(NamedTuple):
    """One choice: `what` (a rule, or the name of a remembered row) took its alternative number `which`."""

    what: str
    which: int


class Derivation(NamedTuple):
    """A text, one way to derive it, and the cost of that way: nats = -log p, the product over its choices."""

    text: str
    nats: float
    choices: tuple[Choice, ...]


class Bound(NamedTuple):
    """Upper bounds: `characters` of a text's length, `nats` of a derivation's cost."""

    characters: int
    nats: float


class Writer:
    """A text that is being generated. Its choices are the digits of one large number in a mixed radix."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.memory: Memory = {}
        self.pieces: list[str] = []
        self.nats = 0.0
        self.choices: list[Choice] = []

    def digit(self, radix: int) -> int:
        self.number, digit = divmod(self.number, radix)
        return digit


class Reading(NamedTuple):
    """State of a parser: the text is parsed up to `position`, in one particular way."""

    position: int
    memory: Memory
    nats: float
    choices: tuple[Choice, ...]


@runtime_checkable
class Node(Protocol):
    """A node of a template."""

    def write(self, writer: Writer) -> None:
        """Append one text, chosen by the writer's digits."""

    def read(self, text: str, at: Reading) -> list[Reading]:
        """Every way to parse this node at that position of the text."""

    def bound(self, known: dict[str, Table]) -> Bound:
        """Upper bound of this node's cost, given the possible rows of each remembered thing. Adds its own to `known`."""


@dataclass(frozen=True, slots=True)
class Text:
    """Literal text."""

    text: str

    def write(self, writer: Writer) -> None:
        writer.pieces.append(self.text)

    def read(self, text: str, at: Reading) -> list[Reading]:
        if not text.startswith(self.text, at.position):
            return []
        return [at._replace(position=at.position + len(self.text))]

    def bound(self, known: dict[str, Table]) -> Bound:
        return Bound(len(self.text), 0.0)


@dataclass(frozen=True, slots=True)
class Mention:
    """A hole that mentions a remembered thing again."""

    variable: str
    form: str

    def write(self, writer: Writer) -> None:
        writer.pieces.append(writer.memory[self.variable].forms[self.form])

    def read(self, text: str, at: Reading) -> list[Reading]:
        form = at.memory[self.variable].forms[self.form]
        return [at._replace(position=at.position + len(form))] if text.startswith(form, at.position) else []

    def bound(self, known: dict[str, Table]) -> Bound:
        return Bound(_longest_form(self.variable, self.form, known), 0.0)


@dataclass(frozen=True, slots=True)
class Introduction:
    """A hole that draws a thing (each row is equally likely), remembers and mentions it."""

    variable: str
    form: str
    rows: Table  # a table of the grammar; empty if `of` names a list that belongs to a remembered thing
    of: tuple[()] | tuple[str, str]
    others: tuple[str, ...]
    named: tuple[str, ...]  # whatever the candidates depend on: the list's owner and the others
    drawn: dict[tuple[Row, ...], tuple[Table, float]] = field(default_factory=dict)  # cache of `candidates`

    def candidates(self, memory: Memory) -> tuple[Table, float]:
        """The rows that can be drawn, and the cost of a draw in nats."""
        named = tuple([memory[name] for name in self.named])
        found = self.drawn.get(named)
        if found is None:
            rows = memory[self.of[0]].lists[self.of[1]] if self.of else self.rows
            rows = tuple(row for row in rows if row not in named)
            found = self.drawn[named] = rows, math.log(len(rows))
        return found

    def write(self, writer: Writer) -> None:
        rows, nats = self.candidates(writer.memory)
        index = writer.digit(len(rows))
        writer.memory[self.variable] = rows[index]
        writer.pieces.append(rows[index].forms[self.form])
        writer.nats += nats
        writer.choices.append(Choice(self.variable, index))

    def read(self, text: str, at: Reading) -> list[Reading]:
        rows, nats = self.candidates(at.memory)
        return [
            Reading(
                at.position + len(row.forms[self.form]),
                {**at.memory, self.variable: row},
                at.nats + nats,
                (*at.choices, Choice(self.variable, index)),
            )
            for index, row in enumerate(rows)
            if text.startswith(row.forms[self.form], at.position)
        ]

    def bound(self, known: dict[str, Table]) -> Bound:
        rows = self.rows
        if self.of:
            owner, name = self.of
            if any(name not in row.lists for row in _rows(owner, known)):
                raise ValueError(f"not every {owner!r} has a list {name!r}")
            tables = [row.lists[name] for row in known[owner]]
            rows = tuple(dict.fromkeys(row for table in tables for row in table))
        else:
            tables = [rows]
        for other in self.others:
            _rows(other, known)
        if min(map(len, tables)) <= len(self.others):
            raise ValueError(f"{self.variable!r} is drawn from too few rows: {min(map(len, tables))} at the least")
        known[self.variable] = rows
        return Bound(_longest_form(self.variable, self.form, known), math.log(max(map(len, tables))))


@dataclass(slots=True)
class Rule:
    """A choice between alternatives; `tickets` holds each alternative's number as often as its weight."""

    name: str
    alternatives: list[list[Node]] = field(default_factory=list)
    nats: list[float] = field(default_factory=list)
    tickets: list[int] = field(default_factory=list)

    def write(self, writer: Writer) -> None:
        index = self.tickets[writer.digit(len(self.tickets))]
        writer.nats += self.nats[index]
        writer.choices.append(Choice(self.name, index))
        for node in self.alternatives[index]:
            node.write(writer)

    def read(self, text: str, at: Reading) -> list[Reading]:
        found = []
        for index, nodes in enumerate(self.alternatives):
            readings = [at._replace(nats=at.nats + self.nats[index], choices=(*at.choices, Choice(self.name, index)))]
            for node in nodes:
                readings = [after for before in readings for after in node.read(text, before)]
            found += readings
        return found

    def bound(self, known: dict[str, Table]) -> Bound:
        bounds, memories = [], []
        for nats, nodes in zip(self.nats, self.alternatives, strict=True):
            memory = dict(known)
            parts = [node.bound(memory) for node in nodes]
            bounds.append(Bound(sum(part.characters for part in parts), nats + sum(part.nats for part in parts)))
            memories.append(memory)
        for variable in set.intersection(*map(set, memories)):  # certainly remembered, as one of these rows
            known[variable] = tuple(dict.fromkeys(row for memory in memories for row in memory[variable]))
        return Bound(max(bound.characters for bound in bounds), max(bound.nats for bound in bounds))


def _rows(variable: str, known: dict[str, Table]) -> Table:
    if variable not in known:
        raise ValueError(f"{variable!r} is mentioned where nothing has introduced it; known there: {sorted(known)}")
    return known[variable]


def _longest_form(variable: str, form: str, known: dict[str, Table]) -> int:
    rows = _rows(variable, known)
    if any(form not in row.forms for row in rows):
        raise ValueError(f"not every {variable!r} has the form {form!r}; it may be {rows[0].forms}")
    return max(len(row.forms[form]) for row in rows)


class Grammar:
    """Rules and tables, compiled and checked.

    Args:
        rules: Name to alternatives; the text is the rule `start`.
        tables: Name to rows.

    Raises:
        ValueError: A template has a malformed hole, or one that cannot be filled on some path.
    """

    def __init__(self, rules: Mapping[str, Alternatives], tables: Mapping[str, Table], start: str = "story") -> None:
        self._tables = tables
        self._rules = {name: Rule(name) for name in rules}
        for name, rule in self._rules.items():
            weighted = [item if isinstance(item, tuple) else (1, item) for item in rules[name]]
            total = sum(weight for weight, _ in weighted)
            for index, (weight, template) in enumerate(weighted):
                rule.alternatives.append(self._compile(template, name))
                rule.nats.append(math.log(total / weight))
                rule.tickets += [index] * weight
        self._start = self._rules[start]
        self.bound = self._start.bound({})

    def _compile(self, template: str, rule: str) -> list[Node]:
        parts = HOLE.split(template)
        nodes: list[Node] = []
        for text, hole in zip(parts[::2], [*parts[1::2], None], strict=True):
            if text:
                nodes.append(Text(text))
            if hole is not None:
                nodes.append(self._fill(hole, rule))
        return nodes

    def _fill(self, hole: str, rule: str) -> Node:
        match = HOLE_CONTENT.fullmatch(hole)
        if match is None:
            raise ValueError(
                f"rule {rule!r}: {{{hole}}} is not {{rule}}, {{thing.form}} or {{thing=table except thing}}"
            )
        name, form, source = match["name"], match["form"] or "", match["source"]
        if source is None:
            return Mention(name, form) if form or name not in self._rules else self._rules[name]
        if name in self._rules:
            raise ValueError(f"rule {rule!r}: {{{hole}}} remembers a thing under the name of a rule")
        others = tuple((match["others"] or "").split())
        owner, _, owned = source.partition(".")
        if owned:
            return Introduction(name, form, (), (owner, owned), others, (owner, *others))
        if owner not in self._tables:
            raise ValueError(f"rule {rule!r}: {{{hole}}} draws from an unknown table; known: {sorted(self._tables)}")
        return Introduction(name, form, self._tables[owner], (), others, others)

    def write(self, number: int) -> Derivation:
        """The text for a number. Uniform numbers far above e^bound.nats give texts with their true probability."""
        writer = Writer(number)
        self._start.write(writer)
        return Derivation("".join(writer.pieces), writer.nats, tuple(writer.choices))

    def read(self, text: str) -> list[Derivation]:
        """Every derivation of the whole text; none if the grammar cannot generate it."""
        readings = self._start.read(text, Reading(0, {}, 0.0, ()))
        return [Derivation(text, at.nats, at.choices) for at in readings if at.position == len(text)]

    def log_probability(self, text: str) -> float:
        """log p(text) in nats, summed over its derivations; -inf if there is none."""
        ways = self.read(text)
        return math.log(math.fsum(math.exp(-way.nats) for way in ways)) if ways else -math.inf
