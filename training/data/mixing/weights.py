"""The weights of a mixture as the user writes them, and their schedule over the steps."""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

FORM = "NAME=WEIGHT, as in --data fineweb=0.7 code=0.2 stories=0.1"
LARGEST = 10**6
"""Bound of a weight, and of its decimals: as whole numbers the weights are at most its square."""


@dataclass(frozen=True)
class Phase:
    """The share of each source's tokens from `step` on, in whole numbers."""

    step: int
    weights: tuple[int, ...]


@dataclass(frozen=True)
class Mixture:
    """Names of the sources, and their weights over the run."""

    names: tuple[str, ...]
    phases: tuple[Phase, ...]

    @staticmethod
    def of(mixture: Sequence[str], schedule: Sequence[str] = ()) -> "Mixture":
        """Parse `NAME=WEIGHT` words and `STEP:NAME=WEIGHT,...` phases. A source that a phase does not name has weight 0.

        Raises:
            ValueError: a word is not of that form.
        """
        first = _weights(mixture, "data.mixture")
        if not first:
            raise ValueError(f"data.mixture names no source: expected {FORM}")
        phases = [Phase(0, _whole(first, first, "data.mixture"))]
        for text in schedule:
            step, colon, words = text.partition(":")
            if not colon or not step.isdecimal() or not 0 < int(step) < 2**53:
                raise ValueError(
                    f"data.schedule has {text!r}: expected STEP:NAME=WEIGHT,NAME=WEIGHT with a step of at least 1"
                )
            if int(step) <= phases[-1].step:
                raise ValueError(f"data.schedule: step {step} does not come after step {phases[-1].step}")
            weights = _weights(words.split(","), "data.schedule")
            if unknown := sorted(weights.keys() - first.keys()):
                raise ValueError(
                    f"data.schedule has {unknown[0]!r}, which is not in the mixture: add it there, with weight 0 if it "
                    f"starts later; the mixture has {', '.join(first)}"
                )
            phases.append(Phase(int(step), _whole(first, weights, "data.schedule")))
        if never := [name for place, name in enumerate(first) if not any(phase.weights[place] for phase in phases)]:
            raise ValueError(f"data.mixture: {never[0]!r} always has weight 0: leave it out")
        return Mixture(tuple(first), tuple(phases))

    def shares(self, step: int) -> tuple[float, ...]:
        """Configured shares of the tokens at a step."""
        weights = next(phase.weights for phase in reversed(self.phases) if phase.step <= step)
        return tuple(weight / sum(weights) for weight in weights)


def is_mixture(words: Sequence[str]) -> bool:
    """Whether the words after --data describe a mixture, and not one file or name."""
    if len(words) == 1 and Path(words[0]).exists():
        return False
    return len(words) > 1 or _has_weight(words[0])


def from_file(path: Path) -> tuple[list[str], list[str]]:
    """(mixture, schedule) from a TOML file with a table `mixture` of weights and a table `schedule` of such tables by step.

    Raises:
        ValueError: it is not TOML, or has other content.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from None
    if unknown := sorted(document.keys() - {"mixture", "schedule"}):
        raise ValueError(
            f"{path} has {unknown[0]!r}: expected the tables mixture and, for weights that change, schedule"
        )
    schedule = document.get("schedule", {})
    if not isinstance(schedule, dict):
        raise ValueError(f"{path}: schedule should be a table of tables, one for each step from which its weights hold")
    steps = sorted(schedule.items(), key=lambda item: int(item[0]) if item[0].isdecimal() else -1)
    return (
        _of_table(document.get("mixture", {}), f"{path}: mixture"),
        [f"{step}:{','.join(_of_table(table, f'{path}: schedule.{step}'))}" for step, table in steps],
    )


def _of_table(table: object, where: str) -> list[str]:
    if not isinstance(table, Mapping) or not all(
        isinstance(weight, int | float) and not isinstance(weight, bool) for weight in table.values()
    ):
        raise ValueError(f"{where} should be a table of names and weights, as in stories = 0.1")
    return [f"{name}={weight}" for name, weight in table.items()]


def _has_weight(word: str) -> bool:
    try:
        return "=" in word and math.isfinite(float(word.rpartition("=")[2]))
    except ValueError:
        return False


def _weights(words: Sequence[str], where: str) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    for word in words:
        name, _, weight = word.rpartition("=")
        try:
            value = Fraction(weight)
        except (ValueError, ZeroDivisionError):
            value = Fraction(-1)
        if not name or value < 0:
            raise ValueError(f"{where} has {word!r}: expected {FORM}, with weights of 0 or more")
        if value.denominator > LARGEST or value > LARGEST:
            raise ValueError(f"{where} has the weight {weight}: give one below {LARGEST:,} with at most six decimals")
        if name in found:
            raise ValueError(f"{where} names {name!r} twice")
        found[name] = value
    return found


def _whole(names: Mapping[str, Fraction], weights: Mapping[str, Fraction], where: str) -> tuple[int, ...]:
    """The weights in the order of `names`, as the smallest whole numbers with the same proportions."""
    values = [weights.get(name, Fraction(0)) for name in names]
    if not any(values):
        raise ValueError(f"{where}: all weights are 0")
    scale = math.lcm(*(value.denominator for value in values))
    whole = [int(value * scale) for value in values]
    common = math.gcd(*whole)
    return tuple(value // common for value in whole)
