"""`gpt import`: what was trained elsewhere becomes a run's folder, with which everything that takes a run works."""

import json
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import torch

from gpt_from_scratch.evals.__main__ import main as evals
from gpt_from_scratch.models.checkpoints.opening import open_model
from gpt_from_scratch.models.generation.engine import generate
from gpt_from_scratch.models.generation.sampling import Sampling
from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.training.commands.features import main as find_features
from gpt_from_scratch.training.commands.generate import main as write_text
from gpt_from_scratch.training.commands.import_model import main
from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.run.command_line import parse
from tests.training.trained import train

pytest.importorskip("tokenizers")
from tests.models.interchange.families import make
from tests.tokenizer.their_tokenizers import write

TEXT = "the robin sang to the fox, and it's 12345 times as glad! " * 40
TRAINED = (
    *("tiny", "--steps", "4", "--batch-size", "2", "--run.n-samples", "1", "--run.n-final-samples", "1"),
    *("--run.sample-tokens", "4", "--run.checkpoint-every", "2", "--run.eval-every", "2", "--device", "cpu"),
)


def elsewhere(folder: Path, family: str = "llama scaled", kind: str = "llama3") -> Path:
    """A model's folder as it is on the hub."""
    tokenizer = write(kind, folder)
    make(family, vocab_size=tokenizer.get_vocab_size() + 5).save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# theirs\n", encoding="utf-8")
    return folder


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    main([str(elsewhere(tmp_path / "theirs"))])
    return Path("runs") / "theirs"


@pytest.mark.parametrize("family, kind", [("llama scaled", "llama3"), ("qwen3", "qwen"), ("olmo2", "gpt2")])
def test_it_writes_what_transformers_writes(
    family: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    folder = elsewhere(tmp_path / "theirs", family, kind)
    main([str(folder), "--out", str(tmp_path / "ours")])
    assert "a context of 64 tokens" in capsys.readouterr().out
    opened = open_model(tmp_path / "ours", device="cpu")
    assert opened.name == "ours-step-00000000"
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    ids = tokenizer("the robin sang", add_special_tokens=False).input_ids
    assert opened.tokenizer.encode_ordinary("the robin sang") == ids
    settings = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    expected = theirs.generate(torch.tensor([ids]), **settings)[0, len(ids) :].tolist()
    assert generate(opened.model, [ids], 12, Sampling(temperature=0.0)) == [expected]
    card = (tmp_path / "ours" / "checkpoints" / "step-00000000" / "model" / "README.md").read_text(encoding="utf-8")
    assert "license: mit" in card


def test_everything_that_takes_a_run_takes_it(imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_text([str(imported), "--prompt", "the fox", "--num", "1", "--max-new-tokens", "5", "--device", "cpu"])
    assert "the fox" in capsys.readouterr().out
    Path("text.txt").write_text(TEXT, encoding="utf-8")
    assert evals(["bits-per-byte", "--checkpoint", str(imported), "--data", "text.txt", "--device", "cpu"]) == 0
    assert "bits per byte" in capsys.readouterr().out
    quick = ["--sae.n-features", "16", "--sae.k", "4", "--sae.steps", "5", "--sae.batch-size", "64", "--threads", "1"]
    find_features([str(imported), "--data", "text.txt", "--layer", "h.0.mlp", "--out", "features", *quick])
    assert any(Path("features").iterdir())


def test_the_server_serves_it(imported: Path) -> None:
    command = [sys.executable, "-m", "gpt_from_scratch.evals.serve", "--checkpoint", str(imported), "--port", "0"]
    with subprocess.Popen([*command, "--device", "cpu"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().split()[4]
            body = {"model": "theirs-step-00000000", "prompt": "the fox", "max_tokens": 4, "temperature": 0}
            request = urllib.request.Request(
                f"{url}/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request) as answer:
                assert json.load(answer)["usage"]["completion_tokens"] <= 4
        finally:
            process.kill()


@pytest.mark.parametrize("by_import", [True, False])
def test_training_goes_on_from_it_and_resumes_exactly(by_import: bool, imported: Path) -> None:
    """Nothing of the architecture need be said again; a shorter context may be."""
    Path("text.txt").write_text(TEXT, encoding="utf-8")
    source = str(imported) if by_import else "theirs"
    words = [*TRAINED, "--data.path", "text.txt", "--init-from", source, "--model.block-size", "16"]
    runs = [Path("runs") / name for name in ("whole", "cut")]
    for run in runs:
        train(parse([*words, "--run.name", run.name]), Ranks())
    shutil.rmtree(runs[1] / "checkpoints" / "step-00000004")
    train(parse(["--resume", str(runs[1])]), Ranks())
    one, other = (open_model(run, device="cpu").model for run in runs)
    assert one.config.block_size == 16 and one.config.norm == "rms" and one.config.rope_scaling.kind == "llama3"
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
    began = GPT.from_pretrained("theirs").state_dict()
    assert not all(torch.equal(tensor, began[name]) for name, tensor in one.state_dict().items())


def test_a_shorter_context_is_kept(tmp_path: Path) -> None:
    folder = elsewhere(tmp_path / "theirs")
    main([str(folder), "--out", str(tmp_path / "short"), "--context", "16"])
    assert open_model(tmp_path / "short", device="cpu").context == 16
    with pytest.raises(ValueError, match="a context of 65 is more than the model has: 64 tokens"):
        main([str(folder), "--out", str(tmp_path / "long"), "--context", "65"])
    assert not (tmp_path / "long").exists()


def test_what_cannot_come_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = elsewhere(tmp_path / "theirs")
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError, match="is not empty"):
        main([str(folder), "--out", str(out)])
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": "relu"}), encoding="utf-8")
    with pytest.raises(ValueError, match="hidden_act is 'relu'"):
        main([str(folder)])
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 9}), encoding="utf-8")
    with pytest.raises(ValueError, match="vocab_size is 9"):
        main([str(folder)])
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no gpt_tokenizer\.json"):
        main([str(folder)])
    assert {path.name for path in tmp_path.iterdir()} == {"theirs", "out"} and len(list(out.iterdir())) == 1
