"""The command on a known dictionary and on a small GPT's folder: figures, files, the page, and bad input."""

import html.parser
import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from matplotlib.image import imread
from safetensors.torch import load_file

from gpt_from_scratch.models.dictionary.sparse_autoencoder import SparseAutoencoder, SparseAutoencoderConfig
from gpt_from_scratch.models.dictionary.sparse_autoencoder_files import (
    load_autoencoder,
    save_autoencoder,
    weights_sha256,
)
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.support.command_line.command import status_of
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.training import train_bigram, train_dictionary, train_sparse_autoencoder
from gpt_from_scratch.training.commands import bigram, dictionary, features
from gpt_from_scratch.training.commands.features import main, parse
from gpt_from_scratch.training.features import map as feature_map

TEXT = "<b>& the cat\x1b[31m sat. " * 60


QUICK = ["--sae.n-features", "24", "--sae.k", "4", "--sae.steps", "60", "--sae.batch-size", "128", "--threads", "1"]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT of two blocks whose random weights are large enough for its activations to differ."""
    folder = tmp_path_factory.mktemp("checkpoint")
    tokenizer = CharacterTokenizer.from_text(TEXT)
    torch.manual_seed(0)
    model = GPT(GPTConfig(block_size=32, vocab_size=tokenizer.n_vocab, n_layer=2, n_head=2, n_embd=16))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5)
    model.save_pretrained(folder)
    tokenizer.save(folder / "gpt_tokenizer.json")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "sae"
    data = ["--data", str(checkpoint / "text.txt"), "--layer", "h.1.mlp", "--curve"]
    main([str(checkpoint), *data, *QUICK, "--out", str(out)])
    return out


def test_the_known_dictionary_is_recovered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(
        [
            "--n-tokens",
            "10000",
            "--sae.steps",
            "500",
            "--sae.batch-size",
            "512",
            "--threads",
            "1",
            "--out",
            str(tmp_path),
        ]
    )
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["mean_max_cosine"] >= 0.95 and metrics["dead"] <= 0.02
    assert f"mean max cosine      {metrics['mean_max_cosine']:.4f}" in capsys.readouterr().out


def test_a_models_features_are_measured_and_written(run: Path) -> None:
    names = ["curve.png", "features.html", "metrics.json", "sae.safetensors"]
    assert sorted(path.name for path in run.iterdir()) == names
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["layer"] == "h.1.mlp"
    assert 0.5 < metrics["variance_explained"] <= 1 and 0 < metrics["l0"] <= 4 and 0 <= metrics["dead"] < 1
    part = (metrics["loss_zero"] - metrics["loss_spliced"]) / (metrics["loss_zero"] - metrics["loss_clean"])
    assert metrics["loss_recovered"] == pytest.approx(part)
    sae = SparseAutoencoder(16, SparseAutoencoderConfig(n_features=24, k=4))
    sae.load_state_dict(load_file(run / "sae.safetensors"))


def test_a_figure_outside_of_its_range_is_said_to_mean_nothing(run: Path) -> None:
    """Zeros cost this random model nothing, so nothing can be recovered."""
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["loss_zero"] < metrics["loss_clean"]
    assert metrics["meaningless"] == {
        "loss_recovered": "the model is not worse with zeros at this site: on this text there is nothing to recover"
    }
    assert "(meaningless: the model is not worse with zeros" in (run / "features.html").read_text(encoding="utf-8")


def test_a_models_name_may_hold_bytes_that_are_no_text(run: Path, tmp_path: Path) -> None:
    sae, origin = load_autoencoder(run)
    save_autoencoder(tmp_path / "sae.safetensors", sae, replace(origin, model=os.fsdecode(b"caf\xe9")))
    assert load_autoencoder(tmp_path)[1].model == r"caf\udce9"


def test_an_autoencoder_is_loaded_again_for_the_model_it_is_of(
    run: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sae, origin = load_autoencoder(run)
    assert (origin.model, origin.layer, sae.config.kind) == (checkpoint.name, "h.1.mlp", "topk")
    assert origin.model_sha256 == weights_sha256(GPT.from_pretrained(checkpoint))
    again = [str(checkpoint), "--data", str(checkpoint / "text.txt"), "--load", str(run), "--threads", "1"]
    main([*again, "--out", str(tmp_path / "again")])
    before, now = (json.loads((folder / "metrics.json").read_text()) for folder in (run, tmp_path / "again"))
    for name in ("variance_explained", "l0", "layer", "loss_spliced"):
        assert now[name] == pytest.approx(before[name])
    with pytest.raises(ValueError, match=r"is of layer h.1.mlp, but --layer is h.0"):
        main([*again, "--layer", "h.0", "--out", str(tmp_path / "no")])
    other = tmp_path / "other"
    shutil.copytree(checkpoint, other)
    model = GPT.from_pretrained(other)
    with torch.no_grad():
        model.wte.weight[0, 0] += 1
    model.save_pretrained(other)
    with pytest.raises(ValueError, match="was learned from another model"):
        main([str(other), *again[1:], "--out", str(tmp_path / "no")])
    (tmp_path / "bad.safetensors").write_bytes((run / "sae.safetensors").read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"bad.safetensors is not a complete safetensors file"):
        load_autoencoder(tmp_path / "bad.safetensors")
    with pytest.raises(ValueError, match="is not a sparse autoencoder of this project"):
        load_autoencoder(checkpoint / "model.safetensors")
    with pytest.raises(FileNotFoundError, match="no autoencoder at"):
        load_autoencoder(tmp_path / "none")
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--n-tokens", "100", "--sae.n-features", "12", "--sae.k", "2"],
        ["--sae.n-features", "1", "--sae.k", "1", "--curve"],
        ["--n-tokens", "9", "--sae.n-features", "1", "--sae.k", "1", "--skip-first"],
        ["--n-tokens", "100", "--sae.n-features", "4", "--sae.k", "2", "--sae.kind", "l1", "--curve"],
    ],
    ids=" ".join,
)
def test_small_inputs_are_measured(options: list[str], checkpoint: Path, tmp_path: Path) -> None:
    quick = ["--sae.steps", "20", "--sae.batch-size", "16", "--threads", "1", "--out", str(tmp_path)]
    main([str(checkpoint), "--data", str(checkpoint / "text.txt"), *options, *quick])
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["variance_explained"] <= 1
    assert (tmp_path / "features.html").exists() and (tmp_path / "curve.png").exists() == ("--curve" in options)


@pytest.mark.parametrize("n_tokens", range(1, 6))
def test_inputs_too_small_get_words_before_anything_is_learned(n_tokens: int, checkpoint: Path, tmp_path: Path) -> None:
    words = [str(checkpoint), "--data", str(checkpoint / "text.txt"), "--n-tokens", str(n_tokens)]
    with pytest.raises(ValueError, match=r"too few for learning|features cannot be learned from"):
        main([*words, "--sae.n-features", "9", "--sae.k", "1", "--out", str(tmp_path / "out")])
    with pytest.raises(ValueError, match="128 features cannot be learned from"):
        main(["--n-tokens", str(n_tokens), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_high_norms_of_first_tokens_are_told_apart(checkpoint: Path, tmp_path: Path) -> None:
    """Position 0 stands far away, at two places: told by themselves they hide that nothing else is explained."""
    folder = tmp_path / "model"
    shutil.copytree(checkpoint, folder)
    model = GPT.from_pretrained(folder)
    with torch.no_grad():
        model.wpe.weight[0] = 3000 * torch.randn(16, generator=torch.Generator().manual_seed(0))
    model.save_pretrained(folder)
    (folder / "text.txt").write_text("\n".join(["the cat sat. "] * 300).replace("\n", ""))
    quick = ["--layer", "h.0", "--sae.n-features", "2", "--sae.k", "1", "--sae.steps", "60", "--threads", "1"]
    found = []
    for more in ([], ["--skip-first"]):
        out = tmp_path / f"out{len(more)}"
        main([str(folder), "--data", str(folder / "text.txt"), *quick, *more, "--out", str(out)])
        found.append(json.loads((out / "metrics.json").read_text()))
    assert found[0]["variance_explained"] == found[0]["variance_explained_with_first"] > 0.4
    assert found[0]["variance_explained_without_first"] < 0
    assert "mean alone" in found[0]["meaningless"]["variance_explained_without_first"]
    assert found[1]["variance_explained"] == found[1]["variance_explained_without_first"]
    assert load_autoencoder(tmp_path / "out1")[1].skip_first


def test_folders_of_other_experiments_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    text = ["--data", str(checkpoint / "text.txt"), *QUICK]
    for options in ([], [], ["--seed", "1"], ["--layer", "h.0"]):
        main([str(checkpoint), *text, *options])
    name = f"sparse-autoencoder-{checkpoint.name}"
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [
        f"{name}-h.0-seed0",
        f"{name}-h.1-seed0",
        f"{name}-h.1-seed0-2",
        f"{name}-h.1-seed1",
    ]


def test_a_file_as_out_is_refused_before_learning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("mine")
    for command, module, learn in (
        (features, train_sparse_autoencoder, "learn_features"),
        (dictionary, train_dictionary, "learn_dictionary"),
        (bigram, train_bigram, "read"),
    ):
        monkeypatch.setattr(module, learn, None)  # cannot be called
        for out in ("file", "file/below"):
            with pytest.raises(ValueError, match=r"cannot be a folder: .*file is a file"):
                command.main(["--out", str(tmp_path / out)])
    assert (tmp_path / "file").read_text() == "mine"


def test_the_curve_compares_four_methods(run: Path) -> None:
    points = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["curve"]
    best = {}
    for point in points:
        best[point["method"]] = max(best.get(point["method"], -1), point["variance_explained"])
        if point["method"] != "l1":
            assert point["l0"] <= point["setting"]
    assert set(best) == {"topk", "l1", "K-SVD", "random"}
    at_four = {point["method"]: point["variance_explained"] for point in points if point["setting"] == 4}
    assert at_four["K-SVD"] > at_four["random"]
    image = imread(io.BytesIO((run / "curve.png").read_bytes()))[:, :, :3]
    for red, green, blue in ((47, 127, 193), (217, 115, 13), (46, 158, 107), (138, 148, 156)):
        assert (abs(image * 255 - (red, green, blue)).sum(axis=2) < 6).sum() > 50, "every method is drawn"


class Tags(html.parser.HTMLParser):
    """The page's elements and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_self_contained_and_escaped(run: Path) -> None:
    source = (run / "features.html").read_text(encoding="utf-8")
    page = Tags()
    page.feed(source)
    assert not {"link", "img", "iframe", "b"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "style")]
    links = [value for name, value in page.attributes if name == "href"]
    ids = {value for name, value in page.attributes if name == "id"}
    assert links and all(link is not None and link[1:] in ids for link in links), (
        "every dot of the map leads to its feature"
    )
    assert "\x1b" not in source and "<b>" in page.text and "␛" in page.text


def test_without_umap_the_command_says_what_to_do_before_it_learns(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_map.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install -e '.*\[umap\]'"):
        main([str(checkpoint), "--map", "umap", "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_model_has_defaults_of_its_own(checkpoint: Path) -> None:
    assert parse([]).sae.n_features == 128 and parse([]).sae.k == 5
    assert parse([str(checkpoint)]).sae == SparseAutoencoderConfig()
    assert parse([str(checkpoint), "--sae.k", "200"]).sae == SparseAutoencoderConfig(k=200)
    with pytest.raises(ValueError, match="first, before the options"):
        parse(["--sae.k", "7", str(checkpoint)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{checkpoint}", "--layer", "h.2"], r"no layer 'h.2'"),
        (["{checkpoint}", "--sae.n-features", "9999"], "9999 features cannot be learned from"),
        (["{checkpoint}", "--data", "{checkpoint}/none.txt"], "no file or folder"),
        (["{checkpoint}", "--data", "{empty}"], "is empty"),
        (["{checkpoint}/none"], "does not exist"),
        (["--layer", "h.0"], "give its run or folder as the first"),
        (["--sae.k", "200"], "only 128 features"),
        (["--n-tokens", "0"], "n_tokens is 0"),
        (["--sae.kind", "top"], "topk"),
    ],
)
def test_bad_input_gets_a_clear_error(
    arguments: list[str],
    message: str,
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    empty = tmp_path / "empty.txt"
    empty.touch()
    if "--data" not in arguments and "{checkpoint}" in arguments:
        arguments = [*arguments, "--data", "{checkpoint}/text.txt"]
    filled = [argument.format(checkpoint=checkpoint, empty=empty) for argument in arguments]
    assert status_of("train_sparse_autoencoder", lambda: main([*filled, "--out", str(tmp_path / "run")])) == 2
    assert re.search(re.escape(message), capsys.readouterr().err)
    assert not (tmp_path / "run").exists()
