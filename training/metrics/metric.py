"""Description of a metric: its name, unit, format, better direction and chart.

It annotates the record's field that holds the value. The terminal, the report and the model card are made from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Mark:
    """A reference value of a metric: a dashed line in its chart."""

    value: float | str
    """The value; a string is the name of the field of run.json that holds it."""
    label: str
    """The label of the value."""

    def of(self, facts: Mapping[str, Any]) -> float | None:
        """The value for a run with these fields of run.json; None if unknown."""
        found = facts.get(self.value) if isinstance(self.value, str) else self.value
        return found if isinstance(found, float) else None


@dataclass(frozen=True)
class Chart:
    """A chart in the report that shows a metric over the steps."""

    title: str | None = None
    """Title of the chart. Default: the metric's label."""
    label: str | None = None
    """Label of the vertical axis. Default: the metric's heading."""
    panel: str | None = None
    """Name of the panel; metrics with the same name share a panel. Default: a panel for this metric alone."""
    curve: str | None = None
    """Name of the curve in the legend."""
    log: bool = False
    """Use a logarithmic axis if all values are above 0."""
    tokens: Literal["alike", "different"] | None = None
    """Draw it only if the runs have the same tokenizer (or only if they do not); None: always."""


@dataclass(frozen=True)
class Metric:
    """The description of a metric."""

    label: str
    """The name that is shown."""
    unit: str = ""
    """The unit, such as "nats per token"."""
    format: str = ".4g"
    """Python format specification of the value."""
    better: Literal["lower", "higher"] | None = None
    """Which values are better; None: neither."""
    line: str = "{label} {value} {unit}{mark}"
    """Template of the terminal's text, with `label`, `value`, `unit` and `mark`; "": nothing is shown."""
    narrow: bool = False
    """Whether a narrow terminal shows it, too."""
    result: bool = False
    """Whether its last value is a result of the run: shown at the top of a report, in comparisons and on the model card."""
    mark: Mark | None = None
    """A reference value."""
    chart: Chart | None = Chart()
    """Its chart in the report; None: no chart."""
    whose: str | None = None
    """The field of the same record that names what the metric belongs to, such as the optimizer of a learning rate."""

    @property
    def heading(self) -> str:
        """The label and the unit."""
        return f"{self.label}, {self.unit}" if self.unit else self.label

    def text(self, value: float | None) -> str:
        """The formatted value; "" for None."""
        return "" if value is None else format(value, self.format)

    def said(self, value: float, facts: Mapping[str, Any], *, brief: bool = False) -> str:
        """The terminal's text for a value.

        Args:
            facts: the fields of run.json, where `mark` finds its value.
            brief: without the mark.
        """
        known = None if self.mark is None or brief else self.mark.of(facts)
        mark = "" if self.mark is None or known is None else f" ({self.mark.label} {known:{self.format}})"
        filled = self.line.format(label=self.label, value=self.text(value), unit=self.unit, mark=mark)
        return " ".join(filled.split())
