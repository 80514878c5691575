"""The command on a known dictionary and on a small GPT's folder: figures, files, the page, and bad input."""

import html.parser
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from matplotlib.image import imread
from safetensors.torch import load_file

from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.models.sparse_autoencoder import SparseAutoencoder, SparseAutoencoderConfig
from gpt_from_scratch.models.sparse_autoencoder_sites import Collected
from gpt_from_scratch.support.command import status_of
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.training import feature_map
from gpt_from_scratch.training.feature_map import plane_of
from gpt_from_scratch.training.sparse_autoencoder_page import feature_page, strongest_features
from gpt_from_scratch.training.train_sparse_autoencoder import main, parse, sequences

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
    assert not {"script", "link", "img", "iframe", "b"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "style")]
    links = [value for name, value in page.attributes if name == "href"]
    ids = {value for name, value in page.attributes if name == "id"}
    assert links and all(link is not None and link[1:] in ids for link in links), (
        "every dot of the map leads to its feature"
    )
    assert "\x1b" not in source and "<b>" in page.text and "␛" in page.text


def page_of(codes: torch.Tensor, sequence: list[int], tokens: list[int]) -> str:
    sae = SparseAutoencoder(4, SparseAutoencoderConfig(n_features=codes.shape[1], k=1))
    with torch.no_grad():
        sae.decoder.copy_(torch.eye(4)[: codes.shape[1]])
    collected = Collected(torch.zeros(len(codes), 4), torch.tensor(tokens), torch.tensor(sequence))
    return feature_page("t", [("figure", "1")], sae, codes, collected, lambda token: "abcdefgh"[token])


def test_tokens_are_coloured_by_how_much_the_feature_fires() -> None:
    codes = torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    page = page_of(codes, [0, 0, 0, 1, 1], [0, 1, 2, 3, 4])
    assert '<span>a</span><span class="a8">b</span><span class="a4">c</span></div>' in page
    assert "<span>d</span>" not in page, "another text's tokens are not shown"
    assert "feature 0" in page and "feature 1" not in page, "a feature that never fires has nothing to show"
    assert "fires on 40.00% of tokens" in page


def test_examples_come_from_different_texts_strongest_first() -> None:
    codes = torch.tensor([[1.0], [3.0], [2.0], [0.0], [5.0]])
    collected = Collected(torch.zeros(5, 4), torch.arange(5), torch.tensor([0, 0, 1, 1, 2]))
    (feature,) = strongest_features(codes, collected, 0)
    assert feature.peaks == (4, 1, 2) and feature.density == pytest.approx(0.8) and feature.strongest == 5


def test_the_map_is_the_plane_of_most_variance() -> None:
    """Directions that differ only in two of five dimensions are shown as they are, up to the axes' order and scale."""
    plane = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    directions = torch.zeros(4, 5)
    directions[:, [1, 4]] = plane
    found = plane_of(directions)
    assert found.abs().amax(dim=0).tolist() == pytest.approx([1, 1])
    torch.testing.assert_close(
        found.abs(), torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(found.sum(dim=0), torch.zeros(2), atol=1e-5, rtol=0)


@pytest.mark.harness
def test_umap_keeps_what_is_alike_together() -> None:
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(40, 8, generator=generator) * 0.1
    directions[:20, 0], directions[20:, 1] = 1, 1
    found = plane_of(directions, "umap")
    torch.testing.assert_close(found, plane_of(directions, "umap"))
    within = max(float((group - group.mean(dim=0)).norm(dim=1).max()) for group in (found[:20], found[20:]))
    assert float((found[:20].mean(dim=0) - found[20:].mean(dim=0)).norm()) > 2 * within
    with pytest.raises(ValueError, match="at least 4 features, there are 3"):
        plane_of(directions[:3], "umap")


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


def test_texts_are_cut_to_the_context_and_to_the_asked_number_of_tokens() -> None:
    tokenizer = CharacterTokenizer.from_text("abc")
    assert sequences(["abcabc", "cb"], tokenizer, 4, 100) == [[3, 0, 1, 2], [0, 1, 2], [3, 2, 1]]
    assert sequences(["abcabc", "cb"], tokenizer, 4, 8) == [[3, 0, 1, 2], [0, 1, 2], [3]]
    assert sequences(["abcabc", "cb"], tokenizer, 4, 2) == [[3, 0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{checkpoint}", "--layer", "h.2"], r"no layer 'h.2'"),
        (["{checkpoint}", "--sae.n-features", "9999"], "9999 features cannot be learned from"),
        (["{checkpoint}", "--data", "{checkpoint}/none.txt"], "no file or folder"),
        (["{checkpoint}", "--data", "{empty}"], "is empty"),
        (["{checkpoint}/none"], "does not exist"),
        (["--layer", "h.0"], "name its run or folder first"),
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
