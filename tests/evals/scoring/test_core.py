"""CORE: a small bundle of all three types of task, and a model of which every answer is known."""

import dataclasses
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gpt_from_scratch.evals.scoring.core import evaluate_core, open_bundle, read_prompts, read_tasks
from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.gpt import GPTConfig

CHOICES = [{"query": f"{a} then", "choices": ["a", f"{a}b", a], "gold": 2} for a in "xyz"]
SCHEMAS = [{"context_options": ["the q", "the z"], "continuation": "zz", "gold": gold} for gold in (1, 1, 0, 1)]
SAID = [{"context": f"  say {a}{a} ", "continuation": answer} for a, answer in [("m", "mmm"), ("n", "mm"), ("k", "kk")]]
YAML = """
icl_tasks:
- label: choose
  dataset_uri: a/choose.jsonl
  num_fewshot: [1]
  icl_task_type: multiple_choice
- label: schemas
  dataset_uri: schemas.jsonl
  num_fewshot: [10]
  icl_task_type: schema
  continuation_delimiter: "  "
- label: say
  dataset_uri: say.jsonl
  num_fewshot: [0]
  icl_task_type: language_modeling
  continuation_delimiter: ""
"""


class Repeater:
    """Says the last letter but blanks once more; every other token is equally unlikely."""

    def __init__(self, checkpoint: OpenedModel, block_size: int = 200) -> None:
        size = checkpoint.tokenizer.n_vocab
        self.config = GPTConfig(block_size=block_size, vocab_size=size, n_layer=1, n_head=1, n_embd=8)
        self.head_weight: Float[Tensor, "v c"] = torch.eye(size) * 10
        self.blank = checkpoint.tokenizer.encode_ordinary(" ")[0]

    def hidden(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b t c"]:
        said = tokens.clone()
        for column in range(1, tokens.shape[1]):
            said[:, column] = torch.where(tokens[:, column] == self.blank, said[:, column - 1], tokens[:, column])
        return torch.nn.functional.one_hot(said, self.config.vocab_size).float()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    root = tmp_path / "eval_bundle"
    (root / "eval_data" / "a").mkdir(parents=True)
    (root / "core.yaml").write_text(YAML)
    (root / "eval_meta_data.csv").write_text(
        "Eval Task,Description,Random baseline\nchoose,x,25.0\nschemas,x,50\nsay,x,0\n"
    )
    for name, rows in [("a/choose", CHOICES), ("schemas", SCHEMAS), ("say", SAID)]:
        (root / "eval_data" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


def test_a_model_with_known_answers(checkpoint: OpenedModel, bundle: Path) -> None:
    result = evaluate_core(Repeater(checkpoint), checkpoint.tokenizer, bundle)
    by_task = {task.task.label: task for task in result.tasks}
    assert by_task["choose"].accuracy == 0  # "x then" ends in n, and no choice begins with it: the shortest wins ties
    assert by_task["schemas"].accuracy == 3 / 4
    assert by_task["say"].accuracy == 2 / 3
    assert by_task["choose"].centred == pytest.approx(-0.25 / 0.75)
    assert by_task["schemas"].centred == pytest.approx(0.5)
    assert result.value == pytest.approx((-1 / 3 + 0.5 + 2 / 3) / 3)


def test_prompts_are_the_public_ones(checkpoint: OpenedModel, bundle: Path) -> None:
    decode = checkpoint.tokenizer.decode
    choose, schemas, say = read_tasks(open_bundle(bundle))

    def texts(task: Any) -> list[list[tuple[str, str]]]:
        prompts = read_prompts(task, checkpoint.tokenizer, 1000)
        return [[(decode(r.context), decode(r.continuation)) for r in prompt.requests] for prompt in prompts]

    # Seed 1337 leaves three items as they are; seeds 1234, 1235, 1236 draw the last, the last and the middle one.
    end = decode([checkpoint.tokenizer.eot_token])
    assert texts(choose) == [
        [(f"{end}{shot} then {shot}\n\n{a} then ", choice) for choice in ("a", f"{a}b", a)]
        for a, shot in [("x", "z"), ("y", "z"), ("z", "y")]
    ]
    for item in texts(schemas):
        assert item[0][0].count("\n\n") == 3  # ten were wanted, three others are there
        assert [continuation for _, continuation in item] == ["  zz", "  zz"]
        assert [context[-5:] for context, _ in item] == ["the q", "the z"]
    for blank in ("", " "):  # which belongs to the continuation, as the first token of a word has it
        expected = [[(f"{end}say {a}", blank + said)] for a, said in [("mm", "mmm"), ("nn", "mm"), ("kk", "kk")]]
        assert texts(dataclasses.replace(say, delimiter=blank)) == expected


@pytest.mark.parametrize("block_size", [8, 30])
def test_long_prompts_lose_their_beginning(checkpoint: OpenedModel, bundle: Path, block_size: int) -> None:
    for task in read_tasks(bundle):
        whole = read_prompts(task, checkpoint.tokenizer, 1000)
        for prompt, full in zip(read_prompts(task, checkpoint.tokenizer, block_size), whole, strict=True):
            for cut, request in zip(prompt.requests, full.requests, strict=True):
                both = request.context + request.continuation
                assert cut.continuation == request.continuation
                assert cut.context + cut.continuation == both[-max(block_size, len(cut.continuation) + 1) :]


def test_a_choice_that_begins_like_another_still_has_a_token_to_score(checkpoint: OpenedModel, bundle: Path) -> None:
    row = {"query": "x", "choices": ["a", "ab"], "gold": 0}
    (bundle / "eval_data" / "a" / "choose.jsonl").write_text(json.dumps(row))
    (prompt,) = read_prompts(read_tasks(bundle)[0], checkpoint.tokenizer, 100)
    assert [checkpoint.tokenizer.decode(r.continuation) for r in prompt.requests] == ["a", "b"]


def test_the_same_for_any_batch_from_a_zip_and_for_some_tasks(checkpoint: OpenedModel, bundle: Path) -> None:
    archive = bundle.parent / "bundle.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in bundle.rglob("*"):
            file.write(path, path.relative_to(bundle.parent))
    model, tokenizer = checkpoint.model, checkpoint.tokenizer
    whole = evaluate_core(model, tokenizer, archive)
    small = evaluate_core(model, tokenizer, bundle, batch_tokens=1)
    assert [t.correct for t in whole.tasks] == [t.correct for t in small.tasks]
    some = evaluate_core(model, tokenizer, bundle.parent, only=["say"], limit=2)
    assert [(t.task.label, t.n) for t in some.tasks] == [("say", 2)]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("core.yaml", "[]", "not a list of tasks"),
        ("core.yaml", "icl_tasks: [1, {", "core.yaml is not YAML"),
        ("core.yaml", "icl_tasks: [1]", "a task must be an object"),
        ("core.yaml", re.sub(r"num_fewshot: .*", "num_fewshot: []", YAML), "num_fewshot"),
        ("eval_meta_data.csv", "Task,Guess\nchoose,a\n", "eval_meta_data.csv, line 2, has no task with its baseline"),
        ("eval_meta_data.csv", "Eval Task,Random baseline\nchoose,a\n", "line 2, has no task with its baseline"),
        ("core.yaml", YAML.replace("type: schema", "type: essay"), "schemas: the type 'essay' is none of"),
        ("eval_meta_data.csv", "Eval Task,Random baseline\n", "no baseline for 'choose'"),
        ("eval_data/schemas.jsonl", json.dumps({"continuation": "a", "gold": 0}), "line 1 has no 'context_options'"),
        ("eval_data/say.jsonl", "", "say.jsonl has no items"),
    ],
)
def test_a_damaged_bundle_says_where(checkpoint: OpenedModel, bundle: Path, file: str, text: str, message: str) -> None:
    (bundle / file).write_text(text)
    with pytest.raises(ValueError, match=message):
        evaluate_core(Repeater(checkpoint), checkpoint.tokenizer, bundle)


def test_what_is_missing_says_how_to_get_it(checkpoint: OpenedModel, bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"eval_bundle.zip"):
        open_bundle(tmp_path / "nothing")
    (bundle / "eval_data" / "say.jsonl").unlink()
    with pytest.raises(FileNotFoundError, match=r"no data at .*say.jsonl"):
        read_tasks(bundle)
    (bundle / "core.yaml").unlink()
    with pytest.raises(FileNotFoundError, match=r"no core.yaml"):
        open_bundle(bundle)
    with pytest.raises(ValueError, match="no task 'x'"):
        (bundle / "core.yaml").write_text(YAML.replace("say.jsonl", "schemas.jsonl"))
        evaluate_core(Repeater(checkpoint), checkpoint.tokenizer, bundle, only=["x"])


def test_a_damaged_zip_is_named(bundle: Path) -> None:
    archive = bundle.parent / "bundle.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in bundle.rglob("*"):
            file.write(path, path.relative_to(bundle.parent))
    data = archive.read_bytes()
    archive.write_bytes(data.replace(b"icl_tasks", b"icl_tusks", 1))
    with pytest.raises(ValueError, match=r"core.yaml cannot be unpacked: Bad CRC-32.*Copy the zip again"):
        read_tasks(open_bundle(archive))
