"""The HTML pages: report.html of a run, and comparison.html of several runs.

A page is self-contained: no scripts, no network, curves as inline SVG. All text from models, data and files is escaped, and
hidden characters are made visible.
"""

import json
import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.command_line.invocation import gpt
from gpt_from_scratch.support.pages.html_page import Markup, element, join, page
from gpt_from_scratch.support.pages.theme import COLORS
from gpt_from_scratch.support.storage.files import write_text
from gpt_from_scratch.support.storage.json_text import flat
from gpt_from_scratch.support.units import duration
from gpt_from_scratch.training.metrics.records.event import Event
from gpt_from_scratch.training.metrics.records.sample import SampleRecord
from gpt_from_scratch.training.metrics.records.train import Train
from gpt_from_scratch.training.report.figures import all_figures
from gpt_from_scratch.training.report.headline import headline, is_running, sentences
from gpt_from_scratch.training.report.results import judged, results
from gpt_from_scratch.training.report.run_data import (
    CONFIG_FILE,
    METRICS_FILE,
    RUN_FILE,
    Run,
    differences,
    read_run,
)
from gpt_from_scratch.training.report.style import STYLE

REPORT_FILE, COMPARISON_FILE = "report.html", "comparison.html"
REFRESH = 5
"""Seconds after which a live page opens itself again."""
SAMPLED_STEPS = 12
"""The maximum number of steps whose samples are shown, including the first and the last."""
WHAT_THE_CURVES_ARE = join(
    element("span", "", class_="swatch training"),
    "the text that it learns from; ",
    element("span", "", class_="swatch validation"),
    "text that it never learns from; ",
    element("span", "", class_="swatch floor"),
    "what no model can go below, where it is known. The closer the blue curve comes to the dashed line, the better.",
)
SAMPLES_A_STEP = 6
"""The maximum number of samples per step; the tally counts all of them."""


def write_report(run_folders: list[Path], output: Path | None = None, *, live: bool = False) -> Path:
    """Write the page of one run, or of several side by side, and return its path.

    Args:
        run_folders: folders with metrics.jsonl, and config.json and run.json if they exist.
        output: the page's path; default: RUN/report.html for one run, RUN/comparison.html for several.
        live: The page of a run that goes on opens itself again and again, since `follow` draws it anew.

    Raises:
        FileNotFoundError: one of the folders is not a run.
        ValueError: no folder was given.
    """
    if not run_folders:
        raise ValueError("no run was given: name one run for a report, several for a comparison")
    return write_page([read_run(folder) for folder in run_folders], output, live=live)


def write_page(runs: list[Run], output: Path | None = None, *, live: bool = False) -> Path:
    """`write_report` for runs that are already loaded."""
    path = output or runs[0].folder / (REPORT_FILE if len(runs) == 1 else COMPARISON_FILE)
    write_text(path, single(runs[0], live=live) if len(runs) == 1 else comparison(runs))
    return path


def single(run: Run, *, live: bool = False) -> str:
    """The page of one run."""
    title = headline(run)
    live = live and is_running(run)
    return page(
        title if title == run.name else f"{title} · {run.name}",
        element(
            "header",
            element("h1", title),
            element("p", summary(run), class_="lead live" if live else "lead"),
            element("p", sentences(run), class_="about"),
            result(run),
        ),
        warnings([run]) if run.records or not live else "",
        curves([run]),
        samples([run]),
        section("Events", events(run)),
        folded("What ran", facts(run)),
        folded("Backends", backends(run)),
        folded("Configuration", table(("setting", "value"), sorted(flat(run.config).items()))),
        section("Where everything is", places(run)),
        section("What to try next", next_steps(run)),
        style=STYLE,
        refresh=REFRESH if live else None,
    )


def comparison(runs: list[Run]) -> str:
    """The page of several runs: their results, common charts, and different settings."""
    names = [join(swatch(index), run.name) for index, run in enumerate(runs)]
    settings = [(name, *values) for name, values in differences(runs).items()]
    same = element("p", "The runs have the same configuration.")
    return page(
        f"{len(runs)} runs compared",
        element("header", element("h1", f"{len(runs)} runs compared")),
        warnings(runs),
        section("Results", compared(runs, names)),
        curves(runs, element("p", *[element("span", name, class_="key") for name in names])),
        section("Settings that differ", table(("setting", *names), settings) if settings else same),
        samples(runs, last_only=True),
        style=STYLE,
    )


def section(title: str, *body: Markup | None) -> Markup:
    """A section of the page; empty if all of its body is None."""
    kept = [part for part in body if part]
    return element("section", element("h2", title), *kept) if kept else Markup()


def folded(title: str, body: Markup | None) -> Markup:
    """A part of the page that is closed until its title is clicked, or nothing where its body is None."""
    return element("details", element("summary", title), body) if body else Markup()


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> Markup | None:
    """An HTML table of rows; None without rows."""
    body = [element("tr", *[element("td", shown(cell)) for cell in row]) for row in rows]
    if not body:
        return None
    head = element("thead", element("tr", *[element("th", cell, scope="col") for cell in header])) if header else ""
    return element("div", element("table", head, element("tbody", *body)), class_="scroll", tabindex="0")


def shown(value: object) -> object:
    """A formatted value."""
    if isinstance(value, Markup):
        return value
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def swatch(index: int) -> Markup:
    """A swatch with the colour of a run's curves."""
    return element("span", "", class_=f"swatch c{index % len(COLORS)}")


def summary(run: Run) -> str:
    """A summary of the run in one line."""
    parameters = run.facts.get("parameters")
    size = f"{parameters:,} parameters" if type(parameters) is int else None
    parts = (
        run.name,
        run.facts.get("state"),
        size,
        run.facts.get("device"),
        run.facts.get("dtype"),
        None if is_running(run) else time_of(run.facts.get("seconds")),
    )
    return " · ".join(str(part) for part in parts if part is not None)


def time_of(seconds: object) -> str | None:
    """A formatted duration; None for an invalid value."""
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < math.inf:
        return None
    return duration(seconds)


def compared(runs: Sequence[Run], names: Sequence[Markup]) -> Markup | None:
    """The results of several runs, one row each, with the best of each column marked."""
    columns, rows = results(runs), []
    for place, (run, name) in enumerate(zip(runs, names, strict=True)):
        last = judged(run)
        figures = [
            element("b", column.texts[place], class_="good") if place in column.best else column.texts[place]
            for column in columns
        ]
        rows.append(
            (name, run.facts.get("state"), last and last.step, *figures, time_of(last.seconds) if last else None)
        )
    return table(("run", "state", "step", *(column.heading for column in columns), "after"), rows)


def result(run: Run) -> Markup | None:
    """The main results in large print."""
    last_record = judged(run)
    tiles: list[tuple[str, object]] = []
    if last_record is not None:
        tiles += [("step", last_record.step), *((column.heading, column.texts[0]) for column in results([run]))]
        tiles += [("after", time_of(last_record.seconds))]
    sampled = run.of(SampleRecord)
    last = [sample for sample in sampled if sample.step == sampled[-1].step]
    tiles += [
        ("last samples that are grammatical and new", tally.removeprefix(": ")) for tally in good_and_new(last, "")
    ]
    if not tiles:
        return None
    figures = [element("div", element("dt", name), element("dd", value)) for name, value in tiles if value is not None]
    return element("dl", *figures, class_="tiles")


def warnings(runs: Sequence[Run]) -> Markup:
    """Problems in the files, so that the reader can explain gaps in a curve."""
    lines = [f"{run.name}: {warning}" if len(runs) > 1 else warning for run in runs for warning in run.warnings]
    if not lines:
        return Markup()
    most = 20
    if len(lines) > most:
        lines = [*lines[:most], f"and {len(lines) - most} more"]
    return element(
        "section", element("h2", "Warnings"), element("ul", *[element("li", line) for line in lines]), class_="warnings"
    )


def curves(runs: Sequence[Run], *legend: Markup) -> Markup:
    """All panels that have data."""
    panels = [element("figure", element("figcaption", title), drawn) for title, drawn in all_figures(runs)]
    said = [element("p", WHAT_THE_CURVES_ARE, class_="about")] if len(runs) == 1 else []
    return section("Curves", *said, *legend, element("div", *panels, class_="panels")) if panels else Markup()


def samples(runs: Sequence[Run], *, last_only: bool = False) -> Markup:
    """The samples of each step."""
    blocks = []
    for index, run in enumerate(runs):
        steps = [(step, list(group)) for step, group in groupby(run.of(SampleRecord), lambda sample: sample.step)]
        kept = steps[-1:] if last_only else spread(steps, SAMPLED_STEPS)
        for step, group in kept:
            title = join(swatch(index), run.name, f", step {step:,}") if len(runs) > 1 else f"Step {step:,}"
            texts = element("div", *map(sample_text, group[:SAMPLES_A_STEP]), class_="texts")
            blocks.append(element("article", element("h3", title, *good_and_new(group)), texts))
    return section("The samples as they improved" if not last_only else "The last samples", *blocks)


def spread(items: list[Any], most: int) -> list[Any]:
    """At most `most` of the items, evenly spaced, including the first and the last."""
    if len(items) <= most:
        return items
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


def good_and_new(samples: Sequence[SampleRecord], what: str = " grammatical and new") -> list[str]:
    """ ": 58 of 64 grammatical and new", if known; else empty."""
    judged = [sample for sample in samples if sample.grammatical is not None and sample.novel is not None]
    good = sum(bool(sample.grammatical and sample.novel) for sample in judged)
    return [f": {good} of {len(judged)}{what}"] if judged else []


def sample_text(sample: SampleRecord) -> Markup:
    """One sample, with its prompt in bold and its judgements."""
    marks = [
        element("span", yes if value else no, class_=f"mark {'good' if value else 'bad'}")
        for value, yes, no in (
            (sample.grammatical, "grammatical", "not grammatical"),
            (sample.novel, "new", "in the training text"),
        )
        if value is not None
    ]
    return element("blockquote", element("p", element("b", sample.prompt), sample.text), *marks)


def events(run: Run) -> Markup | None:
    """Resumes, skipped steps, interruptions."""
    return table(("step", "event"), [(event.step, event.message) for event in run.of(Event)])


def facts(run: Run) -> Markup | None:
    """run.json without the parts that have their own table."""
    described = {name: value for name, value in run.facts.items() if name not in ("backends", "name")}
    if isinstance(described.get("command"), list):
        described["command"] = element("code", " ".join(map(str, described["command"])))
    if text := time_of(described.get("seconds")):
        described["seconds"] = text
    if steps := run.of(Train):
        described["last step"] = steps[-1].step
    return table((), flat(described).items())


def backends(run: Run) -> Markup | None:
    """The backend of each op, with the reason."""
    rows = run.facts.get("backends")
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return table(
        ("operation", "backend", "reason"), [[row.get(key) for key in ("op", "backend", "reason")] for row in rows]
    )


def places(run: Run) -> Markup | None:
    """The files of the run, relative to its folder, since the page may be read on another machine."""
    described = [
        (METRICS_FILE, "every figure on this page, one JSON object per line"),
        (CONFIG_FILE, "the resolved configuration"),
        (RUN_FILE, "software, hardware and state of the run"),
        ("samples", "the samples"),
        ("checkpoints", "the checkpoints, each with a model/ folder in Hugging Face's format"),
    ]
    return table(("in the run's folder", "description"), [row for row in described if (run.folder / row[0]).exists()])


def next_steps(run: Run) -> Markup:
    """Commands for next steps, to be typed in the folder where the run was started."""
    absolute = run.folder.absolute()
    inside = absolute.is_relative_to(Path.cwd())
    folder = absolute.relative_to(Path.cwd()) if inside else Path("runs", absolute.name)
    commands = [
        *(
            [("continue where it stopped", gpt("train", "--resume", folder))]
            if run.facts.get("state") == "interrupted"
            else []
        ),
        ("generate more text", gpt("generate", folder, "--num", "5")),
        (
            "the same run again, one setting changed",
            gpt("train", "--config", folder / CONFIG_FILE, "--seed", "2"),
        ),
        ("compare the two", gpt("report", folder, "runs/OTHER")),
    ]
    return element(
        "dl",
        *[
            part
            for what, command in commands
            for part in (element("dt", what), element("dd", element("code", command)))
        ],
    )
