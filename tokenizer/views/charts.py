"""The page's two plots, as SVG made of escaped elements."""

import math
from collections.abc import Iterable, Mapping

from gpt_from_scratch.support.pages.html_page import Markup, element, join

WIDTH, HEIGHT = 460, 260
"""Narrow, so that the text stays readable on a telephone."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 12, 12, 44


def merges_chart(curves: Mapping[str, list[tuple[int, int]]]) -> Markup:
    """The tokens of the text against the number of merges made (logarithmic); a curve a tokenizer."""
    most = max((merge for curve in curves.values() for merge, _ in curve), default=0)
    up = axis(max(1, *(count for curve in curves.values() for _, count in curve)), whole=True)

    def x(merge: int) -> float:
        return _across(math.log1p(merge) / math.log1p(max(most, 1)))

    def y(count: float) -> float:
        return _down(count / up[-1])

    lines = []
    for number, curve in enumerate(curves.values()):
        points, last = [], curve[0][1]
        for merge, count in curve:
            points += [f"{x(merge):.1f},{y(last):.1f}", f"{x(merge):.1f},{y(count):.1f}"]
            last = count
        points.append(f"{x(most):.1f},{y(last):.1f}")
        lines.append(element("polyline", points=" ".join(points), fill="none", class_=f"line c{number % 6}"))
    powers = [10**power for power in range(7) if 10**power <= most]
    return _chart(
        "Tokens of the text by the number of merges made",
        [(x(0), "0"), *((x(power), f"{power:,}") for power in powers)],
        [(y(count), f"{count:,.0f}") for count in up],
        "merges made",
        "tokens",
        lines,
        curves,
    )


def length_chart(lengths: Mapping[str, Mapping[int, int]]) -> Markup:
    """Chart of token lengths: the fraction of each vocabulary with 1, 2, … bytes; the last group is 16 and more."""
    groups = 16
    shares = []
    for counts in lengths.values():
        share = [0.0] * groups
        for size, count in counts.items():
            share[min(max(size, 1), groups) - 1] += count / sum(counts.values())
        shares.append(share)
    up = axis(100 * max(max(share) for share in shares))
    step = (WIDTH - _LEFT - _RIGHT) / groups
    width = 0.8 * step / len(shares)
    bars = []
    for number, share in enumerate(shares):
        for group, part in enumerate(share):
            left, top = _LEFT + (group + 0.1) * step + number * width, _down(100 * part / up[-1])
            bars.append(
                element(
                    "rect",
                    x=f"{left:.1f}",
                    y=f"{top:.1f}",
                    width=f"{width:.1f}",
                    height=f"{_down(0) - top:.1f}",
                    class_=f"bar c{number % 6}",
                )
            )
    names = [*map(str, range(1, groups)), f"{groups}+"]
    return _chart(
        "Share of the vocabulary by the tokens' length in bytes",
        [(_LEFT + (group + 0.5) * step, name) for group, name in enumerate(names)],
        [(_down(part / up[-1]), f"{part:g} %") for part in up],
        "bytes",
        "share of the vocabulary",
        bars,
        lengths,
    )


def ticks(highest: float, *, whole: bool = False) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) at equal distances from 0 to at most `highest`, two to six of them.

    whole: numbers of things, which have no fractions.
    """
    power = 10.0 ** math.floor(math.log10(highest / 5))
    step = next(power * times for times in (1, 2, 5, 10) if power * times * 5 >= highest * (1 - 1e-9))
    step = max(1.0, step) if whole else step
    return [round(step * place, 12) for place in range(int(highest / step * (1 + 1e-9)) + 1)]


def axis(highest: float, *, whole: bool = False) -> list[float]:
    """The `ticks` of an axis that ends with one: the last is not below `highest`."""
    found = ticks(highest, whole=whole)
    return found if found[-1] >= highest * (1 - 1e-9) else [*found, round(found[-1] + found[1], 12)]


def _across(part: float) -> float:
    return _LEFT + part * (WIDTH - _LEFT - _RIGHT)


def _down(part: float) -> float:
    return HEIGHT - _BOTTOM - part * (HEIGHT - _TOP - _BOTTOM)


def _chart(
    label: str,
    along: list[tuple[float, str]],
    up: list[tuple[float, str]],
    x_name: str,
    y_name: str,
    marks: list[Markup],
    names: Iterable[str],
) -> Markup:
    lines = [
        element("line", x1=f"{_LEFT}", x2=f"{WIDTH - _RIGHT}", y1=f"{place:.1f}", y2=f"{place:.1f}", class_="grid")
        for place, _ in up
    ]
    texts = [element("text", name, x=f"{place:.1f}", y=f"{HEIGHT - 26}", text_anchor="middle") for place, name in along]
    texts += [element("text", name, x=f"{_LEFT - 6}", y=f"{place + 4:.1f}", text_anchor="end") for place, name in up]
    texts.append(element("text", x_name, x=f"{_across(0.5):.1f}", y=f"{HEIGHT - 6}", text_anchor="middle"))
    turned = f"rotate(-90 12 {_down(0.5):.1f})"
    texts.append(element("text", y_name, x="12", y=f"{_down(0.5):.1f}", text_anchor="middle", transform=turned))
    legend = [
        element("span", element("span", "", class_=f"swatch c{number % 6}"), name, class_="key")
        for number, name in enumerate(names)
    ]
    lines.append(
        element("line", x1=f"{_LEFT}", x2=f"{_LEFT}", y1=f"{_down(0):.1f}", y2=f"{_down(1):.1f}", class_="axis")
    )
    lines.append(
        element("line", x1=f"{_LEFT}", x2=f"{_across(1)}", y1=f"{_down(0):.1f}", y2=f"{_down(0):.1f}", class_="axis")
    )
    drawing = element("svg", *lines, *marks, *texts, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)
    return join(element("figcaption", *legend), drawing)
