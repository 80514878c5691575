"""The text of a model's own run, in pieces that fit its context."""

import shutil
from pathlib import Path

import pytest

from gpt_from_scratch.models.checkpoints.opening import open_model
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.training.commands.features import main
from gpt_from_scratch.training.data import stories
from gpt_from_scratch.training.data.run_texts import sequences, split_sequences, texts_of_run
from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.run import command_line as cli
from tests.training.trained import train


def test_the_text_is_that_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of stories gets stories, one of a text that text's end; a model of nobody's run says that it needs one."""
    monkeypatch.setattr("gpt_from_scratch.training.report.page.write_report", lambda folders: folders[0])
    text = tmp_path / "text.txt"
    text.write_text("".join(f"line {n} of the text. " for n in range(400)) + "ZZ the end ZZ " * 40)
    shape = "--model.n-layer 1 --model.n-head 1 --model.n-embd 8 --model.block-size 320 --steps 1 --batch-size 1 --device cpu"
    sizes = "--data.n-stories 9 --data.n-validation 3 --data.vocab-size 400 --run.n-final-samples 0"
    for name, data in (("stories", []), ("text", ["--data.path", str(text), "--data.tokenizer", "character"])):
        run = ["--run.folder", str(tmp_path), "--run.name", name]
        train(cli.parse(["tiny", *shape.split(), *sizes.split(), *run, *data]), Ranks())
        opened = open_model(tmp_path / name, device="cpu")
        folder, tokenizer = opened.folder, opened.tokenizer
        texts = texts_of_run(folder, tokenizer)
        if name == "stories":
            assert stories.parse(next(iter(texts.unseen)))
        else:
            assert "".join(texts.unseen).endswith("ZZ the end ZZ ") and next(iter(texts.seen)).startswith("line 0 of")
            pieces = split_sequences(texts, tokenizer, 32, 500)
            assert " the end ZZ" in tokenizer.decode([token for piece in pieces[1] for token in piece])
    text.unlink()
    with pytest.raises(FileNotFoundError, match=r"trained on no longer exists .*--data"):
        texts_of_run(folder, tokenizer)
    alone = tmp_path / "alone"
    shutil.copytree(folder, alone)
    with pytest.raises(ValueError, match=r"does not say what the model was trained on.*--data FILE"):
        main([str(alone), "--out", str(tmp_path / "out")])


def test_texts_are_cut_to_the_context_and_to_the_asked_number_of_tokens() -> None:
    tokenizer = CharacterTokenizer.from_text("abc")
    assert sequences(["abcabc", "cb"], tokenizer, 4, 100) == [[3, 0, 1, 2], [0, 1, 2], [3, 2, 1]]
    assert sequences(["abcabc", "cb"], tokenizer, 4, 8) == [[3, 0, 1, 2], [0, 1, 2], [3]]
    assert sequences(["abcabc", "cb"], tokenizer, 4, 2) == [[3, 0]]
