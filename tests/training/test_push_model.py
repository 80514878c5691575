"""`gpt push` against a hub on this machine, in a process of its own: what arrives, what is gone on with, what is refused."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gpt_from_scratch.models.checkpoints.opening import open_model
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE
from gpt_from_scratch.training.commands.push_model import main

pytest.importorskip("huggingface_hub")
from tests.training.hub_server import TOKEN

SERVER = Path(__file__).with_name("hub_server.py")
NAME = "someone/robin"
SMALL_FILES = ("--file-bytes", "20000")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    tokenizer = BytePairEncodingTokenizer.from_text("the robin sang to the fox " * 30, 280)
    torch.manual_seed(0)
    GPT(GPTConfig(16, tokenizer.n_vocab, 2, 2, 32)).save_pretrained(tmp_path / "model")
    tokenizer.save(tmp_path / "model" / TOKENIZER_FILE)
    return tmp_path / "model"


@contextlib.contextmanager
def hub(store: Path, *options: str) -> Iterator[str]:
    """The address of a running hub."""
    with subprocess.Popen([sys.executable, SERVER, store, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def environment(url: str, folder: Path, token: str | None = TOKEN) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    ours = {"HF_ENDPOINT": url, "HF_HOME": str(folder / "home"), "HF_HUB_DISABLE_XET": "1"}
    return kept | ours | ({} if token is None else {"HF_TOKEN": token})


def gpt(words: list[str], url: str, folder: Path, token: str | None = TOKEN) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gpt_from_scratch", *words]
    return subprocess.run(
        command, cwd=folder, env=environment(url, folder, token), capture_output=True, text=True, check=False
    )


def requests(store: Path) -> list[str]:
    log = store / "requests.log"
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def test_a_pushed_model_comes_back_by_its_name(model: Path, tmp_path: Path) -> None:
    store = tmp_path / "hub"
    with hub(store) as url:
        pushed = gpt(["push", str(model), NAME, "--licence", "mit", *SMALL_FILES], url, tmp_path)
        assert pushed.returncode == 0, pushed.stderr
        assert f"{url}/{NAME}" in pushed.stdout
        there = {path.name for path in (store / "repositories" / NAME).iterdir()}
        assert {"config.json", "tokenizer.json", TOKENIZER_FILE, "model.safetensors.index.json"} <= there
        assert sum(name.endswith(".safetensors") for name in there) > 2
        assert "license: mit" in (store / "repositories" / NAME / "README.md").read_text(encoding="utf-8")
        fetched = gpt(["import", NAME, "--out", "back"], url, tmp_path)
        assert fetched.returncode == 0, fetched.stderr
    first, second = (open_model(folder, device="cpu") for folder in (model, tmp_path / "back"))
    assert first.model.config == second.model.config
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[name]), name
    assert first.tokenizer.fingerprint == second.tokenizer.fingerprint


def test_a_push_that_breaks_half_way_goes_on(model: Path, tmp_path: Path) -> None:
    store, words = tmp_path / "hub", ["push", str(model), NAME, *SMALL_FILES]
    with hub(store, "--stalls", "3") as url:
        command = [sys.executable, "-m", "gpt_from_scratch", *words]
        with subprocess.Popen(command, cwd=tmp_path, env=environment(url, tmp_path)) as broken:
            while "stalled" not in requests(store) or len(list((store / "objects").glob("*"))) < 2:
                assert broken.poll() is None
                time.sleep(0.05)
            broken.send_signal(signal.SIGKILL)
        assert not (store / "repositories" / NAME / "config.json").exists()  # nothing is seen of what is not whole
    arrived = {path.name for path in (store / "objects").iterdir()}
    noted = len(requests(store))
    with hub(store) as url:
        again = gpt(words, url, tmp_path)
    assert again.returncode == 0, again.stderr
    sent = [line.rpartition("/")[2] for line in requests(store)[noted:] if line.startswith("PUT")]
    assert sent and not arrived & set(sent)
    served = open_model(store / "repositories" / NAME, device="cpu").model.state_dict()
    assert all(torch.equal(served[name], tensor) for name, tensor in GPT.from_pretrained(model).state_dict().items())


def test_a_second_push_takes_the_place_of_the_first(model: Path, tmp_path: Path) -> None:
    with hub(store := tmp_path / "hub") as url:
        for more in (SMALL_FILES, ()):
            assert gpt(["push", str(model), NAME, *more], url, tmp_path).returncode == 0
    there = {path.name for path in (store / "repositories" / NAME).iterdir()}
    assert [name for name in there if "safetensors" in name] == ["model.safetensors"]
    open_model(store / "repositories" / NAME, device="cpu")


def test_what_cannot_be_pushed_is_said_and_changes_nothing(model: Path, tmp_path: Path) -> None:
    store = tmp_path / "hub"
    foreign = store / "repositories" / "someone" / "else"
    foreign.mkdir(parents=True)
    (foreign / "pytorch_model.bin").write_bytes(b"theirs")
    with hub(store) as url:
        for words, token, told in (
            (
                [str(model), "someone/else"],
                TOKEN,
                "already holds something else than a model of ours (pytorch_model.bin",
            ),
            ([str(model), NAME], "hf_other", "does not allow $HF_TOKEN to write to someone/robin (status 401)"),
        ):
            failed = gpt(["push", *words], url, tmp_path, token)
            assert failed.returncode == 2 and told in failed.stderr, failed.stderr
            assert len(failed.stderr.splitlines()) <= 3, failed.stderr
    gone = gpt(["push", str(model), NAME], url, tmp_path)
    assert gone.returncode != 0 and "the push to someone/robin was interrupted" in gone.stderr
    assert "The same command continues it." in gone.stderr and len(gone.stderr.splitlines()) <= 3
    assert [path.name for path in foreign.iterdir()] == ["pytorch_model.bin"]
    assert not any("PUT" in line or "commit" in line for line in requests(store))


def test_a_mistake_is_said_before_anything_is_sent(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(PermissionError, match=r"\$HF_TOKEN is not set: create a token"):
        main([str(model), NAME])
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", lambda *_, **__: pytest.fail("something was sent"))
    with pytest.raises(FileNotFoundError, match="does not exist"):
        main([str(tmp_path / "nowhere"), NAME])
    damaged = json.loads((model / "config.json").read_text(encoding="utf-8"))
    (model / "config.json").write_text(json.dumps(damaged | {"n_layer": 3}), encoding="utf-8")
    with pytest.raises(ValueError, match="n_layer is 3"):
        main([str(model), NAME])
    for words, told in ((["robin"], "expected OWNER/NAME"), ([NAME, "--file-bytes", "0"], "expected at least 1")):
        with pytest.raises(SystemExit):
            main([str(model), *words])
        assert told in capsys.readouterr().err
