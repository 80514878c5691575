"""Regenerate the README's pictures in images/ from real runs.

    python benchmarks/pictures/gallery.py                    # all: hours, 101 core-minutes of them for the large model
    python benchmarks/pictures/gallery.py dictionary         # one

Each is what a command of the project writes; a new picture is one more line of `PICTURES`.
"""

import argparse
import functools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from gpt_from_scratch.benchmarks.common import machine
from gpt_from_scratch.benchmarks.learning import scaling
from gpt_from_scratch.benchmarks.pictures.terminal import (
    draw_function_calling,
    draw_tinystories_mapping,
    draw_token_mapping,
)
from gpt_from_scratch.evals.arithmetic.sample_generation import create_samples
from gpt_from_scratch.evals.arithmetic_eval import arithmetic_eval, visualization
from gpt_from_scratch.evals.protocol.samples import AnySample
from gpt_from_scratch.evals.providers.offline import OracleProvider
from gpt_from_scratch.evals.results.results import to_dataframe
from gpt_from_scratch.support.storage.files import write_bytes
from gpt_from_scratch.training import draw_attention, train_gpt2
from gpt_from_scratch.training.commands import attention, bigram, dictionary, features
from gpt_from_scratch.training.report import picture as report_picture

IMAGES = Path(__file__).parents[2] / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class NoBrowserError(RuntimeError):
    """A page can only be photographed where a browser is installed."""


@functools.cache
def _scratch() -> Path:
    return Path(tempfile.mkdtemp(prefix="gallery-"))


@functools.cache
def main_run() -> Path:
    """A run of `make train`; the pictures of one call share it."""
    folder = _scratch() / "runs"
    status = train_gpt2.main(["--backend", "fastest", "--run.folder", str(folder), "--run.name", "tiny"])
    if status != 0:
        raise RuntimeError(f"the main job ended with status {status}")
    return folder / "tiny"


def written(command: Callable[[list[str]], None], arguments: list[str], file: str) -> Callable[[Path], None]:
    """A picture that a command writes as `file` into the folder that it gets as --out."""

    def draw(path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            command([*arguments, "--out", folder])
            write_bytes(path, (Path(folder) / file).read_bytes())

    return draw


def of_main_run(command: Callable[[list[str]], None], file: str, *options: str) -> Callable[[Path], None]:
    """The same, of the main job's run."""
    return lambda path: written(command, [str(main_run()), *options], file)(path)


def draw_heatmap(path: Path) -> None:
    """The arithmetic eval of an oracle that errs more often the deeper a problem is: ten thousand problems."""
    samples = create_samples(max_depth=10, num_problems=10_000, seed=0)

    def corrupt(sample: AnySample, answer: str) -> str:
        depth, spoiled = sample.splits["max_problem_depth"], sum(map(ord, str(sample.id))) % 12
        return "no idea" if spoiled < int(depth) else answer

    result = arithmetic_eval.run_eval("oracle", 10, 10_000, provider=OracleProvider(samples, corrupt))
    visualization.plot_heatmap(to_dataframe(result), path=path)


def draw_features(path: Path) -> None:
    """The page of a sparse autoencoder's features on the main job's model, as a browser shows it."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise NoBrowserError(f"needs a browser to photograph the page: {', '.join(BROWSERS)}")
    with tempfile.TemporaryDirectory() as folder:
        features.main([str(main_run()), "--n-shown", "12", "--sae.n-features", "128", "--sae.k", "5", "--out", folder])
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1200,1500"]
        picture, page = Path(folder) / "page.png", Path(folder) / "features.html"
        command = [browser, *options, f"--user-data-dir={folder}/profile", f"--screenshot={picture}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        write_bytes(path, picture.read_bytes())


def draw_scaling(path: Path) -> None:
    """Cost against work, from the committed figures: benchmarks/learning/scaling.py measures them."""
    scaling.main(["--draw", str(machine.RESULTS / scaling.FILE), "--image", str(path)])


PICTURES: dict[str, Callable[[Path], None]] = {
    "training.png": of_main_run(report_picture.main, report_picture.PICTURE_FILE),
    "attention.png": of_main_run(attention.main, draw_attention.PICTURE_FILE),
    "token_mapping.svg": draw_token_mapping,
    "tinystories_mapping.svg": draw_tinystories_mapping,
    "function_calling.svg": draw_function_calling,
    "heatmap.png": draw_heatmap,
    "bigram_small.png": written(bigram.main, [], "curves.png"),
    "bigram_ladder.png": written(bigram.main, ["--stage", "all"], "ladder.png"),
    "bigram_large.png": written(bigram.main, ["--preset", "large"], "curves.png"),
    "dictionary.png": written(dictionary.main, [], "dictionary.png"),
    "sparse_autoencoder.png": of_main_run(features.main, "curve.png", "--curve"),
    "features.png": draw_features,
    "cpu_scaling.png": draw_scaling,
}
"""The file of each picture in images/, and what draws it there."""


def main(arguments: list[str] | None = None) -> None:
    """Draw the pictures named on the command line, or all. Exit status 1 if one could not be drawn."""
    names = {Path(file).stem: file for file in PICTURES}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(names)} (default: all)")
    parser.add_argument("--out", type=Path, default=IMAGES, help="the folder (default: images/)")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in names]:
        parser.error(f"no picture {unknown[0]!r}: there are {', '.join(names)}")
    options.out.mkdir(parents=True, exist_ok=True)
    missed = False
    try:
        for name in options.names or names:
            try:
                PICTURES[names[name]](options.out / names[name])
            except NoBrowserError as error:
                print(f"{name} not drawn: {error}", file=sys.stderr, flush=True)
                missed = True
            else:
                print(f"drew {options.out / names[name]}", flush=True)
    finally:
        if _scratch.cache_info().currsize:
            shutil.rmtree(_scratch())
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
