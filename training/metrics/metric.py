"""The description of a figure: its name, unit, format, better direction and chart.

It stands beside the field that holds the figure. The terminal, the report and the model card show what it says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Mark:
    """A value to compare a figure with: a dashed line in its chart."""

    value: float | str
    """The value; a text is the name of a fact of run.json that holds it."""
    label: str
    """What the value is."""

    def of(self, facts: Mapping[str, Any]) -> float | None:
        """The value for a run with these facts; None where it is not known."""
        found = facts.get(self.value) if isinstance(self.value, str) else self.value
        return found if isinstance(found, float) else None


@dataclass(frozen=True)
class Chart:
    """The panel of a report that shows a figure over the steps."""

    title: str | None = None
    """What stands above it. Default: the figure's label."""
    label: str | None = None
    """What the vertical axis shows. Default: the figure's heading."""
    panel: str | None = None
    """Figures that name one panel are drawn into it together. Default: a panel of its own."""
    curve: str | None = None
    """What the curve is called in the legend."""
    log: bool = False
    """A logarithmic axis, where all values are above 0."""
    tokens: Literal["alike", "different"] | None = None
    """Only where the runs that are drawn have the same tokens, or only where they have not."""


@dataclass(frozen=True)
class Metric:
    """What is known of a figure."""

    label: str
    """Its name."""
    unit: str = ""
    """What it is counted in, such as "nats per token"."""
    format: str = ".4g"
    """How Python writes its value."""
    better: Literal["lower", "higher"] | None = None
    """Which values are good; None: neither."""
    line: str = "{label} {value} {unit}{mark}"
    """What the terminal says, from `label`, `value`, `unit` and `mark`; "": nothing."""
    narrow: bool = False
    """A narrow terminal shows it, too."""
    result: bool = False
    """A run is judged by its last value: it stands in the head of a report, in comparisons and on the model card."""
    mark: Mark | None = None
    """What to compare it with."""
    chart: Chart | None = Chart()
    """Its panel in the report; None: there is none."""
    whose: str | None = None
    """The field of the same record that says what the figure belongs to, such as the optimizer of a learning rate."""

    @property
    def heading(self) -> str:
        """The label and the unit."""
        return f"{self.label}, {self.unit}" if self.unit else self.label

    def text(self, value: float | None) -> str:
        """The value as people read it; "" for None."""
        return "" if value is None else format(value, self.format)

    def said(self, value: float, facts: Mapping[str, Any], *, brief: bool = False) -> str:
        """What the terminal says of a value.

        Args:
            facts: those of run.json, among which `mark` may find its value.
            brief: without the mark.
        """
        known = None if self.mark is None or brief else self.mark.of(facts)
        mark = "" if self.mark is None or known is None else f" ({self.mark.label} {known:{self.format}})"
        filled = self.line.format(label=self.label, value=self.text(value), unit=self.unit, mark=mark)
        return " ".join(filled.split())
