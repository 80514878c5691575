"""The commands, from a text to shards and back."""

from pathlib import Path

import numpy as np
import pytest
import tokenizers

from gpt_from_scratch.support.command_line.command import status_of
from gpt_from_scratch.tokenizer.command_line import main
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE, load_tokenizer
from gpt_from_scratch.tokenizer.formats.opening import open_tokenizer
from tests.tokenizer.texts import SCRIPTS

TEXT = "".join(SCRIPTS[:-1]) * 4


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a text and the tokenizer learnt from it, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_bytes(TEXT.encode())
    assert (
        main(["train", "text.txt", "--out", "t.json", "--vocab-size", "400", "--special-tokens", "<|endoftext|>"]) == 0
    )
    return tmp_path


def test_train_encode_decode(folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    tokenizer = load_tokenizer(folder / "t.json")
    assert tokenizer.n_vocab == 400
    assert main(["encode", "t.json", "text.txt", "--out", "shards", "--shard-tokens", "300"]) == 0
    shards = [np.load(path) for path in sorted(Path("shards").iterdir())]
    assert np.concatenate(shards).tolist() == tokenizer.encode_ordinary(TEXT)
    capfdbinary.readouterr()
    assert main(["encode", "t.json", "text.txt"]) == 0
    ids = capfdbinary.readouterr().out.split()
    assert list(map(int, ids)) == tokenizer.encode_ordinary(TEXT)
    assert main(["decode", "t.json", *(word.decode() for word in ids)]) == 0
    assert capfdbinary.readouterr().out == TEXT.encode()


def test_show_compare_and_stats(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "t.json", "the cat 你"]) == 0
    out = capsys.readouterr().out
    assert "LATIN SMALL LETTER H" in out and "\x1b" not in out
    assert main(["show", "t.json", "the cat", "--html", "page.html"]) == 0
    assert Path("page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert main(["train", "text.txt", "--out", "small.json", "--vocab-size", "300"]) == 0
    capsys.readouterr()
    assert main(["compare", "t.json", "small.json", "--file", "text.txt", "--html", "page.html"]) == 0
    table = capsys.readouterr().out
    for name in ("t.json", "small.json"):
        assert f"{len(load_tokenizer(Path(name)).encode_ordinary(TEXT)):,}" in table
    assert main(["stats", "t.json", "--file", "text.txt"]) == 0
    assert "400" in capsys.readouterr().out


def test_convert_there_and_back(folder: Path) -> None:
    wanted = load_tokenizer(folder / "t.json").fingerprint
    for target, out in (("hugging-face", "hf/tokenizer.json"), ("gpt2", "gpt2"), ("tiktoken", "t.tiktoken")):
        Path(out).parent.mkdir(exist_ok=True)
        assert main(["convert", "t.json", out, "--to", target]) == 0
        special = ["--special-tokens", "<|endoftext|>"] if target == "tiktoken" else []
        assert main(["convert", out, "back.json", "--to", "ours", *special]) == 0
        assert load_tokenizer(Path("back.json")).fingerprint == wanted
    assert tokenizers.Tokenizer.from_file("hf/tokenizer.json").encode(TEXT).ids == (
        load_tokenizer(folder / "t.json").encode_ordinary(TEXT)
    )
    assert open_tokenizer("hf").fingerprint == open_tokenizer("gpt2").fingerprint == wanted
    Path("t.json").rename(Path("hf", TOKENIZER_FILE))
    assert open_tokenizer("hf").fingerprint == wanted


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["train", "none.txt", "--out", "x.json"], "none.txt"),
        (["train", "--out", "x.json"], "give at least one"),
        (["train", "text.txt", "--out", "x.json", "--vocab-size", "9"], "vocab_size 9 is too small"),
        (["encode", "none.json", "text.txt"], "no tokenizer at none.json"),
        (["encode", ".", "text.txt"], "it has none of"),
        (["encode", "text.txt", "text.txt"], "is not JSON"),
        (["decode", "t.json", "99999"], "unknown token id 99999"),
        (["show", "t.json"], "give either a text or --file"),
        (["compare"], "give at least one tokenizer"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], complaint: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert status_of("tokenizer", lambda: main(arguments)) == 2
    error = capsys.readouterr().err
    assert complaint in error and error.strip().startswith("error: ")
    assert not Path("x.json").exists()
