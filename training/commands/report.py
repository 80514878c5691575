"""Write the HTML report of a run, or a comparison of several runs.

    gpt report runs/NAME                  # writes runs/NAME/report.html
    gpt report runs/NAME --live --open    # follow a running run in the browser
    gpt report runs/NAME runs/OTHER       # writes runs/NAME/comparison.html

The page is self-contained: no scripts, no network, curves as inline SVG. All text from models, data and files is
escaped.
"""

import signal
import sys
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.command_line.arguments import ArgumentParser, a_path
from gpt_from_scratch.support.command_line.browser import open_page
from gpt_from_scratch.support.command_line.command import imported
from gpt_from_scratch.support.visible import visible
from gpt_from_scratch.training.report.run_data import read_run


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, write the page, print its path."""
    parser = ArgumentParser(prog="gpt report", description=__doc__)
    parser.add_argument("runs", nargs="+", type=a_path, metavar="RUN", help="a run's folder; several are compared")
    parser.add_argument(
        "--out",
        "--output",
        dest="output",
        type=a_path,
        help="the page to write (default: RUN/report.html, or RUN/comparison.html for several runs)",
    )
    parser.add_argument("--live", action="store_true", help="update one run's page until the run has ended")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    options = parser.parse_args(arguments)
    if options.live:
        if len(options.runs) > 1:
            parser.error("--live follows one run: name one")
        follow_run(options.runs[0], options.output, opens=options.open)
        return
    write_page: Any = imported("gpt report", "gpt_from_scratch.training.report.page:write_page")
    runs = [read_run(folder) for folder in options.runs]
    path: Path = write_page(runs, options.output)
    for run in runs:
        for warning in run.warnings:
            print(visible(f"report: warning: {run.folder}: {warning}"), file=sys.stderr)
    print(path)
    if options.open:
        open_page(path.absolute().as_uri())


def follow_run(folder: Path, output: Path | None, *, opens: bool) -> None:
    """Draw again and again until the run has ended; say where once it can be looked at."""
    live: Any = imported("gpt report", "gpt_from_scratch.training.report.live:follow")

    def drawn(path: Path) -> None:
        print(path, flush=True)
        if opens:
            open_page(path.absolute().as_uri())

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # a page is written whole or not at all
    live(folder, output, drawn=drawn)
