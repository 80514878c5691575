"""Draw pictures of the README again, from real runs, into images/.

    python benchmarks/gallery.py                    # all of them: some minutes
    python benchmarks/gallery.py dictionary         # one

Each is what a command in training/ writes; another command's picture is one more line of `PICTURES`.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from gpt_from_scratch.support.files import write_bytes
from gpt_from_scratch.training import (
    report_picture,
    train_bigram,
    train_dictionary,
    train_gpt2,
    train_sparse_autoencoder,
)

IMAGES = Path(__file__).parents[1] / "images"
Command = Callable[[list[str]], None]


def train_and_draw(arguments: list[str]) -> None:
    """`make train`, and the curve of its loss; takes ``--out FOLDER`` as the last two arguments."""
    folder = arguments[-1]
    train_gpt2.main([*arguments[:-2], "--run.folder", folder, "--run.name", "tiny"])
    report_picture.main([f"{folder}/tiny", "--out", folder])


PICTURES: dict[str, tuple[Command, list[str], str]] = {
    "training": (train_and_draw, ["--backend", "fastest"], report_picture.PICTURE_FILE),
    "dictionary": (train_dictionary.main, [], "dictionary.png"),
    "bigram_small": (train_bigram.main, [], "curves.png"),
    "bigram_ladder": (train_bigram.main, ["--stage", "all"], "ladder.png"),
    "sparse_autoencoder": (
        train_sparse_autoencoder.main,
        ["--n-tokens", "20000", "--sae.steps", "1000", "--curve"],
        "curve.png",
    ),
}
"""The name of each picture in images/: the command, its arguments, and the file that it writes."""


def draw(name: str, folder: Path) -> Path:
    """Run the picture's command in a temporary folder and put the picture into `folder`."""
    command, arguments, file = PICTURES[name]
    with tempfile.TemporaryDirectory() as temporary:
        command([*arguments, "--out", temporary])
        picture = (Path(temporary) / file).read_bytes()
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / f"{name}.png", picture)
    return folder / f"{name}.png"


def main() -> None:
    """Draw the pictures named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(PICTURES)} (default: all)")
    names = parser.parse_args().names
    if unknown := [name for name in names if name not in PICTURES]:
        parser.error(f"no picture {unknown[0]!r}: there are {', '.join(PICTURES)}")
    for name in names or PICTURES:
        print(f"drew {draw(name, IMAGES)}", flush=True)


if __name__ == "__main__":
    main()
