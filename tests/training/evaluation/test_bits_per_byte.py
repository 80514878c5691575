"""One definition of bits per byte: what training says of its validation text is what the evals say of it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gpt_from_scratch.evals.scoring.bits_per_byte import evaluate_bits_per_byte
from gpt_from_scratch.models.checkpoints.opening import open_model
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.tiktoken_wrapper import TiktokenTokenizer
from gpt_from_scratch.training import prepare
from gpt_from_scratch.training.config import from_json
from gpt_from_scratch.training.data.building import texts_of
from gpt_from_scratch.training.data.corpus import documents_of, text_lengths
from gpt_from_scratch.training.data.shards import read_index

Run = Callable[..., Path]


def told(folder: Path) -> float:
    """The last validation of a run, bits per byte."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return float([line["bits_per_byte"] for line in lines if line["kind"] == "eval"][-1])


def documents(folder: Path) -> list[str]:
    """The validation text of a run, as its config names it."""
    data = from_json(json.loads((folder / "config.json").read_text(encoding="utf-8"))).data
    if data.source != "shards":
        return list(texts_of(data).validation)
    assert data.path is not None
    tokenizer = open_model(folder, device="cpu").tokenizer
    stream = np.concatenate(read_index(data.path).open("validation"))
    return [tokenizer.decode(part.tolist()) for part in documents_of(stream, tokenizer)]


def agrees(folder: Path) -> None:
    opened = open_model(folder, device="cpu")
    found = evaluate_bits_per_byte(opened.model, opened.tokenizer, documents(folder))
    assert told(folder) == pytest.approx(found.value, rel=1e-5)


LEARNED = ["--data.tokenizer", "bpe", "--data.vocab-size", "270"]
NO_SAMPLES = ["--run.n-samples", "0", "--run.n-final-samples", "0"]


@pytest.mark.parametrize("options", [["--model.block-size", "7"], ["--data.source", "shakespeare", *LEARNED]], ids=len)
def test_of_a_text(run: Run, options: list[str]) -> None:
    agrees(run("text", *NO_SAMPLES, *options))


@pytest.mark.parametrize("end_of_text", [True, False])
def test_of_a_folder_of_short_documents(run: Run, tmp_path: Path, end_of_text: bool) -> None:
    """Many ends: a definition that counts them is far off. Without an end-of-text token no first token is predicted."""
    (tmp_path / "texts").mkdir()
    for number in range(60):
        text = f"the cat sat {'é' * (number % 5)}on {number}"
        (tmp_path / "texts" / f"{number:02}.txt").write_text(text, encoding="utf-8")
    specials = ("<|endoftext|>",) if end_of_text else ()
    BytePairEncodingTokenizer.from_text("the cat sat on " * 9, 262, special_tokens=specials).save(
        tmp_path / "made.json"
    )
    options = ["--data.path", str(tmp_path / "texts"), "--data.tokenizer", str(tmp_path / "made.json")]
    folder = run("folder", *NO_SAMPLES, *options)
    assert len(documents(folder)) > 5
    agrees(folder)


def test_of_stories(run: Run) -> None:
    """Their ends count in the loss, for the floor counts them, and not in bits per byte."""
    sizes = [
        "--data.n-stories",
        "30",
        "--data.n-validation",
        "12",
        "--data.vocab-size",
        "400",
        "--model.block-size",
        "320",
    ]
    options = ["--steps", "2", "--batch-size", "2", "--data.tokenizer", "bpe", *sizes]
    agrees(run("stories", *NO_SAMPLES, "--data.path", "None", "--data.source", "stories", *options))


def test_of_shards(run: Run, tmp_path: Path) -> None:
    """Short documents behind end-of-text tokens."""
    rows = [{"text": f"the cat {number} sat on the naïve mat" * (1 + number % 9 // 8)} for number in range(200)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = "".join(row["text"] for row in rows)
    made = BytePairEncodingTokenizer.from_text(text, 300, special_tokens=("<|pad|>", "<|endoftext|>"))
    made.save(tmp_path / "tokenizer.json")
    words = [str(tmp_path / "rows.jsonl"), "--out", str(tmp_path / "shards"), "--workers", "1"]
    words += ["--tokenizer", str(tmp_path / "tokenizer.json"), "--validation-fraction", "0.2"]
    assert prepare.main(words) == 0
    agrees(run("shards", *NO_SAMPLES, "--data.source", "shards", "--data.path", str(tmp_path / "shards")))


def test_special_tokens_stand_for_no_bytes() -> None:
    lengths, special = text_lengths(
        BytePairEncodingTokenizer.from_text("ab ab ab", 260, special_tokens=("<|x|>", "<|y|>"))
    )
    assert special == {258, 259} and lengths[258:].tolist() == [0, 0] and lengths[:256].tolist() == [1] * 256
    assert len(special & {index for index, length in enumerate(lengths) if length}) == 0
    assert isinstance(TiktokenTokenizer.special_tokens, property)
