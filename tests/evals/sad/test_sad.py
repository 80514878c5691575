"""SAD: the steps that a user is told, and a run in an environment of its own. The clone and evalugator are made up here:
neither may be part of this repository, and nothing of SAD's content is.
"""

import json
import socket
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import uvicorn

from gpt_from_scratch.evals import sad
from gpt_from_scratch.evals.__main__ import main
from gpt_from_scratch.evals.serve.app import Server
from gpt_from_scratch.evals.serve.limits import ServerLimits
from gpt_from_scratch.evals.serve.worker import Worker
from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.generation.engine import generate
from gpt_from_scratch.models.generation.sampling import Sampling
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.tokenizer.character import CharacterTokenizer

# What the bridge meets of evalugator, reconstructed from its public documentation.
REQUESTS = """
from dataclasses import dataclass
from typing import Any

@dataclass
class Message:
    role: str
    content: str

@dataclass(kw_only=True)
class GetTextRequest:
    context: Any
    prompt: list
    temperature: float
    max_tokens: int

@dataclass(kw_only=True)
class GetProbsRequest:
    context: Any
    prompt: list
    min_top_n: int
    num_samples: int | None = None

@dataclass(kw_only=True)
class GetTextResponse:
    model_id: str
    request: Any
    raw_responses: list
    context: Any
    txt: str
    error: str | None = None

@dataclass(kw_only=True)
class GetProbsResponse:
    model_id: str
    request: Any
    raw_responses: list
    context: Any
    probs: dict
"""
# A stand-in for SAD's own command line: asks the provider that evalugator would pick, and writes down what came of it.
SAD_MAIN = """
import json, sys
from evalugator.api.dispatcher import PROVIDERS
from evalugator.api.requests import GetProbsRequest, GetTextRequest, Message

model = sys.argv[sys.argv.index("--models") + 1]
(provider,) = [p for p in PROVIDERS if p.provides_model(model)]
prompt = [Message("system", "Be brief."), Message("user", "Hello")]
text = provider.execute(model, GetTextRequest(context=1, prompt=prompt, temperature=0, max_tokens=6))
probs = provider.execute(model, GetProbsRequest(context=2, prompt=prompt, min_top_n=5))
tokens = provider.encode(model, "Hello")
found = {"argv": sys.argv, "txt": text.txt, "context": [text.context, probs.context], "probs": probs.probs,
         "round": provider.decode(model, tokens), "torch": "torch" in sys.modules}
json.dump(found, open("answers.json", "w"))
"""


@pytest.fixture(scope="module")
def checkpoint() -> OpenedModel:
    tokenizer = CharacterTokenizer("\n" + "".join(map(chr, range(32, 127))))
    torch.manual_seed(0)
    model = GPT(GPTConfig(block_size=32, vocab_size=tokenizer.n_vocab, n_layer=1, n_head=2, n_embd=16))
    torch.nn.init.normal_(model.wte.weight, std=1.0)
    return OpenedModel(model.eval(), tokenizer, "tiny")


@pytest.fixture(scope="module")
def url(checkpoint: OpenedModel) -> Iterator[str]:
    app = Server(checkpoint, Worker(checkpoint), ServerLimits()).app()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository, with a clone in it that is as a user's is after all steps."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("/sad/\n")
    clone = tmp_path / "sad"
    (clone / "sad" / "facts").mkdir(parents=True)
    (clone / "sad" / "main.py").write_text(SAD_MAIN)
    (clone / "models.yaml").write_text("- name: gptfs/tiny\n  included: true\n")
    with zipfile.ZipFile(clone / "sad" / "facts" / "data.zip", "w") as archive:
        archive.writestr("questions.json", "not to be read")
    (clone / "sad" / "facts" / "questions.json").write_bytes(b"\xff not to be read")
    api = tmp_path / "site" / "evalugator" / "api"
    api.mkdir(parents=True)
    (api / "requests.py").write_text(REQUESTS)
    (api / "dispatcher.py").write_text("PROVIDERS = []\n")
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    # -S: no site-packages, so that the bridge finds the standard library and nothing of ours.
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path / "site"}:{clone} exec {sys.executable} -S "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return clone


def call(action: str, clone: Path, url: str, *more: str) -> int:
    return main(["sad", action, "--model", "tiny", "--clone", str(clone), "--url", url, *more])


def test_a_run_answers_in_its_own_environment(
    clone: Path, url: str, checkpoint: OpenedModel, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert call("check", clone, url) == 0
    assert "missing" not in capfd.readouterr().out
    assert call("run", clone, url, "--variants", "plain", "sp") == 0
    printed = capfd.readouterr().out
    found = json.loads((clone / "answers.json").read_text())
    tasks = found["argv"][found["argv"].index("--tasks") + 1].split(",")
    assert found["argv"][-4:] == ["--models", "gptfs/tiny", "--variants", "plain,sp"]
    for left_out in ("self_recognition_who", "self_recognition_groups", "id_leverage_multihop"):
        assert left_out not in tasks and left_out in printed
    assert len(tasks) == 12
    prompt = checkpoint.tokenizer.encode_ordinary("Be brief.\n\nHello")
    stop = (checkpoint.tokenizer.eot_token,)
    new = generate(checkpoint.model, [prompt], 6, Sampling(temperature=0, stop_tokens=stop))[0]
    assert found["txt"] == checkpoint.tokenizer.decode([token for token in new if token not in stop])
    with torch.no_grad():
        best = torch.softmax(checkpoint.model(torch.tensor([prompt]))[0, -1], dim=-1).topk(5)
    assert list(found["probs"].values()) == pytest.approx(best.values.tolist(), abs=1e-5)
    assert list(found["probs"]) == [checkpoint.tokenizer.decode([token]) for token in best.indices.tolist()]
    assert (found["context"], found["round"], found["torch"]) == ([1, 2], "Hello", False)


@pytest.mark.parametrize(
    ("damage", "finding", "remedy"),
    [
        ("rm -r sad/sad", "SAD's clone at", "git clone https://github.com/LRudL/sad.git"),
        ("rm .gitignore", "git ignores the clone", "nothing is run while"),
        ("rm sad/sad/facts/questions.json", "0 of 1 archives", "./unzip.sh --exclude-evals"),
        ("rm -r site", "has sad and evalugator", "not there: evalugator"),
        ("rm -r sad/.venv", "has sad and evalugator", "there is no"),
        ("rm sad/models.yaml", "gptfs/tiny is in SAD's models.yaml", "- name: gptfs/tiny"),
        ("echo '- name: gptfs/tiny-two' > sad/models.yaml", "gptfs/tiny is in SAD's models.yaml", "included: true"),
    ],
)
def test_what_is_missing_is_said_with_its_remedy_and_nothing_runs(
    clone: Path, url: str, damage: str, finding: str, remedy: str, capfd: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(damage, shell=True, cwd=clone.parent, check=True)
    for action in ("check", "run"):
        assert call(action, clone, url) == 1
        printed = capfd.readouterr().out
        (missing,) = [line for line in printed.splitlines() if line.startswith("missing")]
        assert finding in missing
        assert remedy in printed
    assert not (clone / "answers.json").exists()


def test_a_server_that_is_not_there_or_has_another_model(
    clone: Path, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nothing = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert call("check", clone, nothing) == 1
    assert "serve --checkpoint CHECKPOINT --name tiny" in capfd.readouterr().out
    (clone / "models.yaml").write_text("- name: gptfs/other\n")
    assert main(["sad", "check", "--model", "other", "--clone", str(clone), "--url", url]) == 1
    assert "that server has tiny" in capfd.readouterr().out


def test_a_clone_outside_of_any_repository_needs_no_gitignore(tmp_path: Path) -> None:
    assert sad.is_ignored(tmp_path / "sad")


def test_tasks_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert sad.chosen_tasks(["self_recognition_who"], {}) == ["self_recognition_who"]
    assert "id_leverage_multihop" in sad.chosen_tasks([], {"OPENAI_API_KEY": "x"})
    with pytest.raises(ValueError, match="no task 'facts'; it has facts_human_defaults"):
        sad.chosen_tasks(["facts"], {})


def test_the_bridge_says_what_failed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from gpt_from_scratch.evals.harness import sad_bridge

    monkeypatch.setenv("GPTFS_URL", url)
    monkeypatch.setattr(sad_bridge.time, "sleep", lambda seconds: None)
    with pytest.raises(RuntimeError, match=r"/detokenize answered 400: .*token.* 10000"):
        sad_bridge.decode("gptfs/tiny", [10_000])
    with pytest.raises(ValueError, match="'gpt-4o' is none of this server's models"):
        sad_bridge.encode("gpt-4o", "a")
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setenv("GPTFS_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    with pytest.raises(RuntimeError, match=r"no server at .*start python -m gpt_from_scratch.evals.serve"):
        sad_bridge.encode("gptfs/tiny", "a")


@pytest.mark.parametrize(
    "reply",
    [
        *(b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", b"HTTP/1.1 500 X\r\n\r\n"),
        *(b"HTTP/1.1 200 OK\r\n\r\n" + body for body in (b"[]", b"null", b'{"data": [5]}', b"\xff", b"[" * 100_000)),
    ],
)
def test_a_server_that_answers_anything_else_is_none(reply: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(reply)

        thread = threading.Thread(target=answer)
        thread.start()
        assert sad.serves(f"http://127.0.0.1:{server.getsockname()[1]}") is None
        thread.join()
