"""The command: what it prints, what it writes, what the picture shows, and how it answers bad input."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from matplotlib.image import imread

from gpt_from_scratch.training.commands.dictionary import main
from gpt_from_scratch.training.train_dictionary import DictionaryConfig, draw, learn


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """What the command uses, too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "dictionary"
    main(["--n-seeds", "2", "--ksvd.iterations", "40", "--out", str(folder)])
    return folder


def test_metrics_hold_all_three_figures_of_every_seed(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["config"]["ksvd"]["iterations"] == 40
    assert [seed["seed"] for seed in metrics["seeds"]] == [0, 1]
    for seed in metrics["seeds"]:
        assert seed["recovered"] == metrics["n_atoms"] == 20
        assert seed["shapes_recovered"] == 5
        assert seed["mmcs"] > 0.999
        assert seed["variance_explained"] > 0.9999
        assert seed["seconds"] > 0


def test_atoms_are_written_matched_and_sign_aligned(run: Path) -> None:
    atoms = safetensors.torch.load_file(run / "dictionary.safetensors")
    assert ((atoms["true"] * atoms["learned"]).sum(dim=1) > 0.99).all()


def test_nothing_half_written_is_left(run: Path) -> None:
    assert sorted(path.name for path in run.iterdir()) == ["dictionary.png", "dictionary.safetensors", "metrics.json"]


def panels(png: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The picture's left and right half below the titles, as (height, width, colour)."""
    image = imread(io.BytesIO(png))[80:, :, :3]
    half = image.shape[1] // 2
    return image[:, :half], image[:, half:]


def test_the_picture_shows_both_dictionaries(run: Path) -> None:
    """Both halves are mostly ink, and a recovered dictionary looks like the true one."""
    left, right = panels((run / "dictionary.png").read_bytes())
    for half in (left, right):
        assert ((half < 0.99).any(axis=2)).mean() > 0.5
    reds = [int(((half[:, :, 0] - half[:, :, 2]) > 0.3).sum()) for half in (left, right)]
    assert reds[0] == pytest.approx(reds[1], rel=0.02)


def test_the_picture_of_a_failed_search_looks_different() -> None:
    config = DictionaryConfig(n_samples=25)
    result = learn(config, 0)
    assert result.score.recovered < 20
    left, right = panels(draw(result))
    assert abs(left[:200] - right[:200]).mean() > 0.05


def test_the_table_and_the_tally_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--n-samples", "60", "--n-random", "0", "--ksvd.n-atoms", "5", "--seed", "7", "--out", str(tmp_path)])
    text = capsys.readouterr().out
    assert "MMCS" in text and "variance" in text
    assert "of 1 seeds" in text


def test_the_default_folder_names_the_run() -> None:
    assert DictionaryConfig(n_samples=100, seed=3).folder == Path("runs/dictionary-n100-seed3")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n-samples", "10"], "20 atoms cannot be learned from 10 samples"),
        (["--ksvd.n-atoms", "10"], "true dictionary has 20 atoms"),
        (["--ksvd.n-nonzero", "21"], "only 20 atoms to choose from"),
        (["--mixed", "3", "1"], "the least and the most atoms"),
        (["--mixed", "1", "21"], "from 1 to 20"),
        (["--noise", "nan"], "noise is nan"),
        (["--n-seeds", "0"], "n_seeds is 0"),
        (["--n-random", "-1"], "n_random is -1"),
        (["--ksvd.iteration", "3"], "--ksvd.iterations"),
    ],
)
def test_bad_input_gets_a_clear_error(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "gpt learn dictionary --n-seeds 10" in text and "--ksvd.restarts" in text
