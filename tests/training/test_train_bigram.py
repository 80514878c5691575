"""The ladder's training: it learns what each stage can learn, stops in time, writes what it says, and refuses bad input."""

import io
import itertools
import json
import math
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from matplotlib.image import imread
from safetensors.torch import load_file

from gpt_from_scratch.models.bigram import ADDS, STAGES, BigramConfig, BigramLanguageModel
from gpt_from_scratch.support.command_line.command import status_of
from gpt_from_scratch.tokenizer.files import load_tokenizer
from gpt_from_scratch.training import train_bigram
from gpt_from_scratch.training.bigram import loop as bigram_loop
from gpt_from_scratch.training.bigram.loop import PRESETS, BigramTraining, evaluate, train, windows
from gpt_from_scratch.training.commands.bigram import main, parse
from gpt_from_scratch.training.optim.config import OptimizerConfig
from gpt_from_scratch.training.optim.schedule import ScheduleConfig

QUICK = BigramTraining(
    steps=200,
    eval_every=50,
    model=BigramConfig(n_embd=16, n_head=2, n_layer=1, dropout=0.0),
    optimizer=OptimizerConfig(lr=1e-2),
    schedule=ScheduleConfig(warmup_steps=5),
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def echoes(count: int) -> str:
    """A random letter, a mark, the letter again, a mark: the second letter is known only to who looks two places back."""
    rng = random.Random(0)
    return "".join(f"{letter}-{letter}." for letter in rng.choices("abcdefgh", k=count))


@pytest.fixture(scope="module")
def echo_tokens() -> torch.Tensor:
    return torch.tensor([".-abcdefgh".index(character) for character in echoes(1500)])


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ladder")
    text = folder / "text.txt"
    text.write_text(echoes(800), encoding="utf-8")
    out = folder / "run"
    main(
        [
            "--stage",
            "all",
            "--steps",
            "10",
            "--eval-every",
            "5",
            "--sample-characters",
            "200",
            "--data",
            str(text),
            "--out",
            str(out),
        ]
    )
    return out


def test_attention_learns_what_a_bigram_cannot(echo_tokens: torch.Tensor) -> None:
    """To a bigram the mark after a letter is one of two and the letter after a mark one of eight: (ln 2 + ln 8) / 2 nats."""
    config = replace(QUICK, optimizer=OptimizerConfig(lr=5e-2))
    losses = {
        stage: train(config, stage, echo_tokens[:5000], echo_tokens[5000:], 10).best.validation
        for stage in ("bigram", "head")
    }
    assert losses["bigram"] == pytest.approx((math.log(2) + math.log(8)) / 2, abs=0.05)
    assert losses["head"] < losses["bigram"] - 0.1


def test_a_run_repeats_exactly_and_its_seed_matters(echo_tokens: torch.Tensor) -> None:
    config = BigramTraining(steps=6, eval_every=3, model=QUICK.model)
    runs = [
        train(replace(config, seed=seed), "dropout", echo_tokens[:500], echo_tokens[500:600], 10) for seed in (1, 1, 2)
    ]
    assert runs[0].evaluations == runs[1].evaluations != runs[2].evaluations
    assert [at.step for at in runs[0].evaluations] == [0, 3, 6]


def test_it_stops_when_it_overfits_and_keeps_the_best_weights() -> None:
    """Random letters cannot be predicted, only learned by heart: the validation loss soon rises."""
    letters = torch.randint(10, (400,), generator=torch.Generator().manual_seed(0))
    config = replace(QUICK, steps=1000, eval_every=20, patience=3)
    run = train(config, "dropout", letters[:200], letters[200:], 10)
    assert run.last.step == run.best.step + 3 * 20 < 1000
    assert run.last.validation > run.best.validation and run.last.train < run.best.train
    model = BigramLanguageModel(replace(QUICK.model, vocab_size=10), "dropout")
    model.load_state_dict(run.best_weights)
    assert evaluate(model, *windows(letters[200:], 8)) == pytest.approx(run.best.validation, abs=1e-6)
    assert evaluate(run.model, *windows(letters[200:], 8)) == pytest.approx(run.last.validation, abs=1e-6)


@pytest.mark.parametrize(("count", "whole"), [(9, 1), (16, 1), (17, 2), (100, 12)])
def test_windows_cover_the_text_once(count: int, whole: int) -> None:
    inputs, targets = windows(torch.arange(count), 8)
    assert inputs.flatten().tolist() == list(range(whole * 8))
    assert torch.equal(targets, inputs + 1)


def test_evaluation_is_the_mean_over_all_windows(monkeypatch: pytest.MonkeyPatch, echo_tokens: torch.Tensor) -> None:
    monkeypatch.setattr("gpt_from_scratch.training.bigram.loop.EVAL_TOKENS", 40)  # five windows at a time
    torch.manual_seed(0)
    model = BigramLanguageModel(BigramConfig(vocab_size=10, dropout=0.5))
    inputs, targets = windows(echo_tokens[:100], 8)
    expected = model.eval()(inputs, targets).item()
    assert evaluate(model, inputs, targets) == pytest.approx(expected, abs=1e-6)
    assert model.training, "dropout is on again"


def test_the_ladder_writes_its_metrics_picture_weights_and_samples(ladder: Path) -> None:
    names = ["gpt_tokenizer.json", "ladder.png", "metrics.json", "model.safetensors", "samples.txt"]
    assert sorted(path.name for path in ladder.iterdir()) == names
    metrics = json.loads((ladder / "metrics.json").read_text(encoding="utf-8"))
    assert [stage["stage"] for stage in metrics["stages"]] == list(STAGES)
    for stage in metrics["stages"]:
        assert [at["step"] for at in stage["evaluations"]] == [0, 5, 10]
        assert stage["best"]["validation"] == min(at["validation"] for at in stage["evaluations"])
        assert stage["best"]["validation"] < stage["evaluations"][0]["validation"]
    tokenizer = load_tokenizer(ladder)
    model = BigramLanguageModel(BigramConfig(vocab_size=tokenizer.n_vocab))
    model.load_state_dict(load_file(ladder / "model.safetensors"))
    samples = (ladder / "samples.txt").read_text(encoding="utf-8")
    assert samples.startswith("--- best: step 10, validation loss") and len(samples) > 200


def test_the_ladders_picture_has_a_dot_a_stage(ladder: Path) -> None:
    image = imread(io.BytesIO((ladder / "ladder.png").read_bytes()))[:, :, :3]
    image = image[:, : int(0.85 * image.shape[1])]  # the rest has the legend
    blue = (image[:, :, 2] > 0.7) & (image[:, :, 0] < 0.3)
    rows = blue.sum(axis=1) > 6
    dots = int((rows[1:] & ~rows[:-1]).sum())
    assert dots == len(STAGES)


def test_the_table_says_what_each_stage_adds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text.txt"
    text.write_text("[red]bold[/red] \x1b[31m" * 40, encoding="utf-8")
    main(["--stage", "head", "--steps", "2", "--data", str(text), "--out", str(tmp_path / "run")])
    printed = capsys.readouterr().out
    assert ADDS["head"] in printed
    assert "\x1b" not in printed and "␛" in printed, "samples cannot steer the terminal"
    assert (tmp_path / "run" / "curves.png").is_file()


def test_the_preset_sets_the_defaults_and_the_rest_overrides_them() -> None:
    assert parse([]) == PRESETS["small"]
    assert parse(["--preset", "large"]) == PRESETS["large"]
    changed = parse(["--steps", "7", "--preset=large", "--model.n-head", "2"])
    assert (changed.steps, changed.model.n_head, changed.model.n_embd) == (7, 2, PRESETS["large"].model.n_embd)
    assert parse(["--stage", "all"]).folder == Path("runs/bigram-small-all")


def test_the_small_preset_is_the_lectures_budget() -> None:
    small = PRESETS["small"]
    assert (small.steps, small.batch_size, small.model.block_size) == (10_000, 32, 8)
    assert (small.model.n_embd, small.model.n_head, small.model.n_layer, small.model.dropout) == (32, 4, 4, 0.1)


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, [], "no file or folder"),
        (b"", [], "is empty"),
        (b"\xff\xff", [], "is not UTF-8 text"),
        (b"short", [], "too few for a context of 8"),
        (b"long enough " * 40, ["--model.block-size", "64"], "48 for validation, too few for a context of 64"),
        (b"text", ["--stage", "heads"], "head"),
        (b"text", ["--model.n-head", "3"], "n_head 3 must divide n_embd 32"),
        (b"text", ["--steps", "0"], "steps is 0"),
        (b"text", ["--patience", "-1"], "patience is -1"),
        (b"text", ["--preset", "big"], "large"),
        (b"long enough " * 40, ["--backend", "tritno"], "did you mean 'triton'"),
    ],
)
def test_bad_input_gets_a_clear_error(
    content: bytes | None,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    command = [*arguments, "--data", str(path), "--out", str(tmp_path / "run")]
    assert status_of("train_bigram", lambda: main(command)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


@pytest.mark.parametrize("stage", ["dropout", "bigram"])
def test_a_run_that_diverges_ends_in_words_with_what_it_learned(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.txt").write_text("the cat sat on the mat. " * 60)
    original = bigram_loop.make_optimizers

    def poisoned(model: torch.nn.Module, config: OptimizerConfig) -> list[torch.optim.Optimizer]:
        optimizers = original(model, config)
        steps = itertools.count()

        def spoil(*_: object) -> None:
            if next(steps) == 5:
                with torch.no_grad():
                    next(model.parameters()).fill_(math.nan)

        optimizers[0].register_step_post_hook(spoil)
        return optimizers

    monkeypatch.setattr(bigram_loop, "make_optimizers", poisoned)
    out = tmp_path / "out"
    options = ["--stage", stage, "--steps", "40", "--eval-every", "2", "--data", str(tmp_path / "text.txt")]
    with pytest.raises(ValueError, match=rf"{stage} diverged: from step 6 on its loss is not finite.*from step [24] "):
        main([*options, "--out", str(out)])
    metrics = json.loads((out / "metrics.json").read_text(), parse_constant=refuse)
    assert metrics["stages"][0]["last"]["validation"] is None and metrics["stages"][0]["best"]["step"] in (2, 4)
    assert all(tensor.isfinite().all() for tensor in load_file(out / "model.safetensors").values())
    samples = (out / "samples.txt").read_text()
    assert "(none: the model's logits are not finite" in samples and "--- best" in samples
    assert (out / "curves.png").exists()


def test_a_drawing_that_fails_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise RuntimeError("no picture")

    (tmp_path / "text.txt").write_text("the cat sat on the mat. " * 60)
    options = ["--data", str(tmp_path / "text.txt"), "--steps", "1", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(train_bigram, "draw_curves", fail)
    with pytest.raises(RuntimeError, match="no picture"):
        main(options)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "metrics.json",
        "gpt_tokenizer.json",
        "model.safetensors",
        "samples.txt",
    }
