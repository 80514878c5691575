"""Writing from a run, a checkpoint and a model folder: what is found, what is printed, and what is refused."""

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt_from_scratch.kernels.registry import load_ops
from gpt_from_scratch.models.checkpoints.finding import find_model
from gpt_from_scratch.models.generation.engine import generate
from gpt_from_scratch.models.generation.sampling import Sampling
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.support.visible import visible
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE
from gpt_from_scratch.training.checkpoints import CheckpointStore
from gpt_from_scratch.training.commands.generate import main
from gpt_from_scratch.training.generate import beginning, learned_documents, write

TOKENIZER = BytePairEncodingTokenizer.from_text("Tom ran to the park. Mia ran to Tom. naïve café\n" * 3, 270)


@pytest.fixture(scope="module")
def model() -> GPT:
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=TOKENIZER.n_vocab, block_size=32, n_layer=1, n_head=2, n_embd=16)
    return GPT(config).eval()


@pytest.fixture
def run(tmp_path: Path, model: GPT) -> Path:
    """A run with checkpoints of the steps 5 and 10."""
    store = CheckpointStore(tmp_path / "runs" / "one" / "checkpoints")
    for step in (5, 10):
        store.save(
            step, config=model.config, weights=model.state_dict(), tokenizer=TOKENIZER, tensors={}, state={"step": step}
        )
    (tmp_path / "runs" / "one" / "config.json").write_text("{}")
    return tmp_path / "runs" / "one"


def no_warning(message: str) -> None:
    raise AssertionError(message)


def expected(model: GPT, prompt: str, seed: int, new: int = 12) -> str:
    sampling = Sampling(0.8, None, 0.95, seed, (TOKENIZER.eot_token,))
    (tokens,) = generate(model, [[TOKENIZER.eot_token, *TOKENIZER.encode_ordinary(prompt)]], new, sampling)
    return visible(prompt + TOKENIZER.decode([token for token in tokens if token != TOKENIZER.eot_token]))


def test_a_run_means_its_newest_checkpoint(run: Path) -> None:
    newest = run / "checkpoints" / "step-00000010"
    for source in (run, run / "checkpoints", newest, newest / "model"):
        assert find_model(source, no_warning).samefile(newest / "model")
    assert find_model(run / "checkpoints" / "step-00000005", no_warning).parent.name == "step-00000005"


def test_a_damaged_checkpoint_is_passed_over_and_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = run / "checkpoints" / "step-00000010" / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    main([str(run), "--num", "1", "--max-new-tokens", "1"])
    warning = capsys.readouterr().err
    assert warning.startswith("generate: warning: the checkpoint of step 10 is damaged and skipped:")
    assert "model.safetensors" in warning
    (run / "checkpoints" / "step-00000005" / "manifest.json").unlink()
    with pytest.raises((OSError, ValueError), match=r"no checkpoint in .*checkpoints is complete"):
        main([str(run)])


def test_texts_are_those_of_the_engine(run: Path, model: GPT, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(run), "--prompt", "Tom", "--num", "2", "--max-new-tokens", "12", "--seed", "3", "--dtype", "fp32"])
    printed = capsys.readouterr().out
    texts = [expected(model, "Tom", seed) for seed in (3, 4)]
    assert texts[0] != texts[1]
    assert printed == f"--- 1 of 2, seed 3\n{texts[0]}\n\n--- 2 of 2, seed 4\n{texts[1]}\n"
    main([str(run), "--prompt", "Tom", "--num", "2", "--max-new-tokens", "12", "--seed", "3", "--dtype", "fp32"])
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("native", "asked", "dtype"),
    [
        (True, "auto", torch.bfloat16),
        (False, "auto", torch.float32),
        (True, "fp32", torch.float32),
        (False, "bf16", torch.bfloat16),
    ],
)
def test_the_weights_are_held_in_the_dtype(
    native: bool, asked: str, dtype: torch.dtype, run: Path, model: GPT, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("gpt_from_scratch.training.generate.multiplies_bf16", lambda device: native)
    main([str(run), "--prompt", "Tom", "--num", "1", "--max-new-tokens", "12", "--dtype", asked, "--device", "cpu"])
    printed = capsys.readouterr().out
    assert printed == expected(copy.deepcopy(model).to(dtype), "Tom", 0) + "\n"


def test_a_character_spread_over_tokens_arrives_whole(monkeypatch: pytest.MonkeyPatch, model: GPT) -> None:
    force(monkeypatch, [*map(byte_token, "é🙂".encode()), TOKENIZER.eot_token])
    pieces = write(model, TOKENIZER, TOKENIZER.encode_ordinary("caf"), 20, Sampling(stop_tokens=(TOKENIZER.eot_token,)))
    assert [piece for piece in pieces if piece] == ["é", "🙂"]


def test_bytes_that_are_no_text_become_replacement_characters(monkeypatch: pytest.MonkeyPatch, model: GPT) -> None:
    force(monkeypatch, [byte_token(0xF0), byte_token(0x41), byte_token(0xC3)])
    assert "".join(write(model, TOKENIZER, [0], 3, Sampling())) == "\ufffdA\ufffd"


def test_control_characters_are_shown(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    force(monkeypatch, [byte_token(byte) for byte in b"\x1b[31m[bold]\r\n"])
    main([str(run), "--prompt", "\x07", "--num", "1", "--max-new-tokens", "13"])
    assert capsys.readouterr().out == "␇␛[31m[bold]␍\n\n"


def byte_token(byte: int) -> int:
    return next(index for index in range(TOKENIZER.n_vocab) if TOKENIZER.decode_bytes([index]) == bytes([byte]))


def force(monkeypatch: pytest.MonkeyPatch, tokens: list[int]) -> None:
    """Let the model's choice be these tokens, in turn."""
    left = iter(tokens)

    def choose(logits: torch.Tensor, settings: object, generators: object) -> tuple[list[int], list[float]]:
        return [next(left)], [0.0]

    monkeypatch.setattr("gpt_from_scratch.models.generation.engine.sample_rows", choose)


def test_a_text_ends_with_the_end_of_text_token(monkeypatch: pytest.MonkeyPatch, model: GPT) -> None:
    force(monkeypatch, [*TOKENIZER.encode_ordinary("Mia"), TOKENIZER.eot_token, *TOKENIZER.encode_ordinary("Tom")])
    assert "".join(write(model, TOKENIZER, [0], 20, Sampling(stop_tokens=(TOKENIZER.eot_token,)))) == "Mia"


def test_a_text_begins_as_the_training_texts_do(tmp_path: Path) -> None:
    folder = tmp_path / "step-00000001" / "model"
    folder.mkdir(parents=True)
    end, line = TOKENIZER.eot_token, TOKENIZER.encode_ordinary("\n")
    assert learned_documents(folder)  # a model alone
    for source, begin in (("stories", [end]), ("shards", [end]), ("text", line), ("shakespeare", line)):
        (folder.parent / "state.json").write_text(json.dumps({"config": {"data": {"source": source}}}))
        documents = learned_documents(folder)
        assert beginning(TOKENIZER, "", documents) == (begin, (end,))
        with_prompt = TOKENIZER.encode_ordinary("Tom")
        assert beginning(TOKENIZER, "Tom", documents) == (
            [end, *with_prompt] if begin == [end] else with_prompt,
            (end,),
        )
    (folder.parent / "state.json").write_text('{"config": 3}')
    assert learned_documents(folder)


def test_without_any_beginning_a_prompt_is_asked_for() -> None:
    with pytest.raises(ValueError, match="no end-of-text token or line break to start with: give a --prompt"):
        beginning(CharacterTokenizer("abc"), "", documents=False)


def test_what_is_no_model_is_refused(tmp_path: Path, run: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "young" / "checkpoints").mkdir(parents=True)
    for name, message in (
        ("missing", r"missing does not exist: give a run's folder"),
        ("file", r"file is a file: give a run's folder"),
        ("empty", r"empty is neither a run nor a checkpoint nor a model"),
        ("young", r"checkpoints holds no checkpoint yet"),
        ("runs", r"It holds the runs one: name one of them"),
    ):
        with pytest.raises((OSError, ValueError), match=message):
            main([str(tmp_path / name)])


def test_a_model_without_its_tokenizer_or_with_anothers_is_refused(tmp_path: Path, run: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(run / "checkpoints" / "step-00000010" / "model", folder)
    for file in (TOKENIZER_FILE, "tokenizer.json"):  # transformers' file alone would do
        (folder / file).unlink()
    with pytest.raises((OSError, ValueError), match=rf"has no {TOKENIZER_FILE}: save the model's tokenizer there"):
        main([str(folder)])
    CharacterTokenizer("".join(map(chr, range(32, 400)))).save(folder / TOKENIZER_FILE)
    with pytest.raises(
        (OSError, ValueError), match="369 tokens, but the model .* has only 270: they do not belong together"
    ):
        main([str(folder)])
    CharacterTokenizer("abc").save(folder / TOKENIZER_FILE)
    with pytest.raises((OSError, ValueError), match=r"character 'd'"):
        main([str(folder), "--prompt", "abcd"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num", "0"], "--num is 0"),
        (["--max-new-tokens", "0"], "--max-tokens is 0"),
        (["--temperature", "-1"], "temperature must be at least 0"),
        (["--top-k", "0"], "top_k must be at least 1"),
        (["--top-p", "1.5"], "top_p must be above 0 and at most 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["runs/one", *arguments])
    assert message in capsys.readouterr().err


def test_the_backend_can_be_chosen(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = [str(run), "--num", "1", "--max-new-tokens", "4", "--temperature", "0"]
    attention = load_ops()["attention"]
    attention.load("cpu")
    calls, original = [], attention.backends["torch"].function
    assert original is not None
    monkeypatch.setattr(
        attention.backends["torch"], "function", lambda *args, **kwargs: calls.append(1) or original(*args, **kwargs)
    )
    main(quick)
    plain = capsys.readouterr().out
    assert not calls
    main([*quick, "--backend", "attention=torch,linear_cross_entropy=reference"])
    assert calls and capsys.readouterr().out == plain
    with pytest.raises((OSError, ValueError), match="--backend triton: .* cannot run here"):
        main([*quick, "--backend", "triton", "--device", "cpu"])
    with pytest.raises((OSError, ValueError), match="no backend 'torhc'.* did you mean 'torch'"):
        main([*quick, "--backend", "torhc"])


def test_it_runs_as_a_script(run: Path) -> None:
    script = Path(__file__).parents[2] / "training" / "generate.py"
    command = [sys.executable, str(script), str(run), "--num", "1", "--max-new-tokens", "3", "--temperature", "0"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stdout.endswith("\n") and "---" not in shown.stdout
    assert json.loads((run / "config.json").read_text()) == {}
