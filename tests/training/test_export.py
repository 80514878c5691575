"""`gpt export`: what it writes opens elsewhere, what is wrong is said, and no folder with something in it is touched."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gpt_from_scratch.models.checkpoints.opening import open_model
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE
from gpt_from_scratch.tokenizer.formats.tiktoken_folder import OPENING
from gpt_from_scratch.training import PRESETS, train
from gpt_from_scratch.training.commands.export import main
from gpt_from_scratch.training.config import RunConfig
from tests.tokenizer.texts import SCRIPTS


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tiny = PRESETS["tiny"][1]
    config = dataclasses.replace(
        tiny,
        steps=2,
        batch_size=2,
        data=dataclasses.replace(tiny.data, n_stories=300, n_validation=4),
        model=dataclasses.replace(tiny.model, n_layer=1, n_head=2, n_embd=16),
        run=RunConfig(
            folder=tmp_path_factory.mktemp("runs"), name="mine", eval_every=1, checkpoint_every=1, n_final_samples=1
        ),
    )
    return train(config)


@pytest.fixture
def run(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run, and a folder to work in."""
    shutil.copytree(finished, tmp_path / "runs" / "mine")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "runs" / "mine"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_run_becomes_a_folder_for_transformers(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    main([str(run), "--licence", "mit"])
    out = Path("mine-step-00000002-hugging-face")
    said = capsys.readouterr()
    assert said.err == "" and str(out) in said.out
    assert names(out) == names(run / "checkpoints" / "step-00000002" / "model")
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "license: mit" in card and "| 2 | " in card  # the last validation, too
    for name in ("model.safetensors", "config.json", "tokenizer.json", TOKENIZER_FILE):
        assert (out / name).read_bytes() == (run / "checkpoints" / "step-00000002" / "model" / name).read_bytes()
    ours = open_model(out, device="cpu")
    theirs = AutoModelForCausalLM.from_pretrained(out, trust_remote_code=True).eval()
    ids = AutoTokenizer.from_pretrained(out, trust_remote_code=True)("Once upon a time").input_ids
    assert ids == ours.tokenizer.encode_ordinary("Once upon a time")
    with torch.no_grad():
        logits = theirs(torch.tensor([ids])).logits
        torch.testing.assert_close(logits, ours.model(torch.tensor([ids])), rtol=1e-4, atol=1e-4)


def test_a_checkpoint_of_an_older_release_is_completed(run: Path) -> None:
    """Its model/ had the weights, their description and our tokenizer only."""
    model = run / "checkpoints" / "step-00000002" / "model"
    old = Path("old")
    shutil.copytree(model, old)
    for path in old.iterdir():
        if path.name not in ("config.json", "model.safetensors", TOKENIZER_FILE):
            path.unlink()
    config = json.loads((old / "config.json").read_text())
    config["architectures"] = ["GPT"]
    del config["auto_map"]
    (old / "config.json").write_text(json.dumps(config))
    main([str(old), "--out", "new"])
    for path in model.iterdir():
        if path.name != "README.md":
            assert (Path("new") / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_tokenizer_opens_in_tiktoken_as_its_readme_says(run: Path) -> None:
    main([str(run), "--to", "tiktoken", "--out", "tokenizer"])
    assert names(Path("tokenizer")) == {"ranks.tiktoken", "encoding.json", "README.md"}
    assert OPENING in Path("tokenizer/README.md").read_text(encoding="utf-8")
    texts = json.dumps([*SCRIPTS, "Once upon a time"])
    code = f"{OPENING}\nprint([encoding.encode_ordinary(text) for text in json.loads({texts!r})])"
    blocked = "import sys; sys.modules['gpt_from_scratch'] = None\n"
    found = subprocess.run(
        [sys.executable, "-c", blocked + code], cwd="tokenizer", capture_output=True, text=True, check=True
    )
    ours = open_model(run, device="cpu").tokenizer
    assert json.loads(found.stdout) == [ours.encode_ordinary(text) for text in json.loads(texts)]


@pytest.mark.parametrize("to", ["hugging-face", "tiktoken"])
def test_a_folder_with_something_in_it_is_never_written_into(run: Path, to: str) -> None:
    Path("theirs").mkdir()
    Path("theirs/notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="theirs is not empty"):
        main([str(run), "--to", to, "--out", "theirs"])
    Path("file").write_text("mine")
    Path("empty").mkdir()
    Path("link").symlink_to("empty")
    for name in ("file", "link"):
        with pytest.raises(FileExistsError, match="is a file or a link: name a new folder"):
            main([str(run), "--to", to, "--out", name])
    main([str(run), "--to", to, "--out", "empty"])
    assert names(Path("theirs")) == {"notes.txt"} and names(Path("empty"))
    assert names(Path()) == {"theirs", "file", "empty", "link"}  # nothing half-written beside


def test_an_unfinished_run_is_exported_with_a_word(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(run / "checkpoints" / "step-00000001"), "--out", "first"])
    assert "the exported model of the run mine is step 1 of 2, not its last" in capsys.readouterr().err
    about = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(about | {"state": "interrupted"}))
    main([str(run), "--out", "second"])
    assert (
        "mine is not finished (its state is interrupted): the exported model is step 2 of 2" in capsys.readouterr().err
    )


def test_damage_is_said_and_the_checkpoint_before_it_taken(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = run / "checkpoints" / "step-00000002" / "model" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ValueError, match=r"damaged:\n.*model\.safetensors"):
        main([str(weights.parents[1]), "--out", "named"])
    main([str(run), "--out", "newest"])
    said = capsys.readouterr().err
    assert "step 2 is damaged and skipped" in said and "step 1 of 2" in said
    assert names(Path()) == {"newest"}


def test_what_is_foreign_or_cannot_be_is_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in (run.parent, run / "nothing"):
        with pytest.raises(FileNotFoundError, match="no model at"):
            main([str(place), "--out", "new"])
    tokenizer = CharacterTokenizer.from_text("the robin")
    model = GPT(GPTConfig(block_size=8, vocab_size=tokenizer.n_vocab, n_layer=1, n_head=1, n_embd=8))
    model.save_pretrained("alone")
    with pytest.raises(FileNotFoundError, match=f"has no {TOKENIZER_FILE}"):
        main(["alone", "--out", "new"])
    tokenizer.save(Path("alone") / TOKENIZER_FILE)
    with pytest.raises(ValueError, match="is no byte pair encoding"):
        main(["alone", "--to", "tiktoken", "--out", "new"])
    odd = BytePairEncodingTokenizer.from_text("the robin " * 9, 258, pattern=r"(?i:ss)|[\s\S]")
    model = GPT(GPTConfig(block_size=8, vocab_size=odd.n_vocab, n_layer=1, n_head=1, n_embd=8))
    model.save_pretrained("odd")
    odd.save(Path("odd") / TOKENIZER_FILE)
    with pytest.raises(ValueError, match="cannot be converted to Hugging Face's format.*'ss' in"):
        main(["odd", "--out", "new"])
    assert names(Path()) == {"alone", "odd"}
    capsys.readouterr()
    main(["alone", "--out", "new"])
    assert "does not belong to a run" in capsys.readouterr().err


def test_a_licence_that_is_none_is_a_mistake(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(run), "--licence", "mit\nevil: yes"])
    assert ended.value.code == 2
    assert "expected an identifier such as mit" in capsys.readouterr().err


def test_what_gguf_does_not_have_is_said(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(
        ValueError, match=r"GGUF has gpt2, .*olmo2, this model has another architecture: position=rotary"
    ):
        main([str(run), "--to", "gguf"])
    tokenizer = BytePairEncodingTokenizer.from_text("the robin " * 9, 258, pattern="gpt2")
    model = GPT(GPTConfig(block_size=8, vocab_size=tokenizer.n_vocab, n_layer=1, n_head=1, n_embd=8))
    model.save_pretrained("exact")
    tokenizer.save(Path("exact") / TOKENIZER_FILE)
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(RuntimeError, match=r"GGUF needs the package gguf: .*\[gguf\]"):
        main(["exact", "--to", "gguf"])
    assert names(Path()) == {"exact"}
    with pytest.raises(SystemExit):
        main(["exact", "--precision", "q8_0"])
    assert "--precision q8_0 is for --to gguf, not for hugging-face" in capsys.readouterr().err
