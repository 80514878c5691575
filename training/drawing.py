"""The common style of all pictures: fixed colours, untrusted text drawn literally, and readable axes.

matplotlib interprets a text with two dollar signs as TeX, and raises if it is invalid. Text in a picture may be untrusted
(a run's name, a path, a token), so TeX is always off.
"""

import contextlib
import io
import math
import warnings
from collections.abc import Iterator
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from gpt_from_scratch.support.visible import visible

LONGEST = 100
"""Maximum number of characters of an untrusted text in a picture."""
_PLAIN = {"text.parse_math": False, "text.usetex": False, "axes.formatter.use_mathtext": False}


@contextlib.contextmanager
def plain_text(**style: Any) -> Iterator[None]:
    """Context in which pictures are drawn and written: without TeX, and without warnings about missing glyphs.

    `style` are further settings of matplotlib's, with a dot where a name has "__".
    """
    settings = {name.replace("__", "."): value for name, value in style.items()}
    with matplotlib.rc_context({**settings, **_PLAIN}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        warnings.filterwarnings("ignore", message=r"Matplotlib currently does not support .* natively")
        yield


def outside(text: object) -> str:
    """An untrusted text on one line: control and hidden characters are made visible, and a long text is cut."""
    line = visible(str(text)).replace("\n", "⏎").replace("\t", " ")
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def png(figure: Figure, dpi: int = 120) -> bytes:
    """Encode the picture as PNG. Call it within `plain_text`, since axis labels are made during writing."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def bare(axes: Axes) -> None:
    """Remove the top and right frame, and add a faint grid."""
    axes.grid(alpha=0.15)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def logarithmic(axes: Axes, low: float, high: float) -> None:
    """Set a logarithmic vertical axis with plain numbers, also where it spans less than a decade.

    low, high: range of the drawn values; both are above 0.
    """
    axes.set_yscale("log")
    if high / low < 1.6:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    else:
        steps = (1, 1.5, 2, 3, 4, 6, 8) if high / low < 30 else (1, 3) if high / low < 1e4 else (1,)
        axes.yaxis.set_major_locator(LogLocator(subs=steps, numticks=12))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.8g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def limits(values: list[float]) -> tuple[float, float] | None:
    """The smallest and the largest of the finite values; None if there is none."""
    finite = [value for value in values if math.isfinite(value)]
    return (min(finite), max(finite)) if finite else None
