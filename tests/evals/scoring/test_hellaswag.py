"""HellaSwag: both styles and all norms against a slow reference, the cleaning's traps, and what a file may hold."""

import json
from pathlib import Path
from typing import Any

import pytest

from gpt_from_scratch.evals.scoring.hellaswag import (
    HellaSwagItem,
    ItemScores,
    cleaned,
    continuations,
    evaluate_hellaswag,
    read_items,
)
from gpt_from_scratch.evals.scoring.loglikelihood import loglikelihoods
from gpt_from_scratch.models.checkpoints.opening import OpenedModel

ROWS: list[dict[str, Any]] = [
    {
        "ind": 24,
        "activity_label": "Roof shingle removal",
        "ctx_a": "A man is sitting on a roof.",
        "ctx_b": "he",
        "ctx": "A man is sitting on a roof. he",
        "endings": ["is using wrap.", "is ripping tiles.", "holds a cube.", "pulls off  roofing [title] on a roof."],
        "label": 3,
    },
    {
        "ind": 3,
        "activity_label": "Baking",
        "ctx_a": "[header] How to bake [title] Choose a pan. [step] A Pan",
        "ctx_b": "",
        "ctx": "[header] How to bake [title] Choose a pan. [step] A Pan",
        "endings": ["is é good.", "is.", "was 好 to be a much longer ending than the model's whole context is.", "is."],
        "label": "1",
        "split_type": "zeroshot",
    },
    {
        "activity_label": "Long",
        "ctx_a": "A context that is far longer than the model can read at once, so that it loses its beginning.",
        "ctx_b": "iT ENDS",
        "ctx": "A context that is far longer than the model can read at once, so that it loses its beginning. iT ENDS",
        "endings": ["here.", "there.", "nowhere.", "somewhere."],
        "label": 0,
    },
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "val.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS) + "\n", encoding="utf-8")
    return path


def test_both_styles_and_all_norms_equal_a_slow_reference(checkpoint: OpenedModel, data: Path) -> None:
    """Each ending by itself, from the log-probabilities of one uncut forward pass a window."""
    result = evaluate_hellaswag(checkpoint.model, checkpoint.tokenizer, data)
    for style, rows in result.scores.items():
        for row, raw in zip(rows, ROWS, strict=True):
            requests = continuations(row.item, checkpoint.tokenizer, style)
            endings = [e if style == "completion" else cleaned(e) for e in raw["endings"]]
            alone = [loglikelihoods(checkpoint.model, [request])[0].logprob for request in requests]
            assert row.logprobs == pytest.approx(alone, abs=1e-4)
            assert row.tokens == tuple(len(request.continuation) for request in requests)
            sizes = {"sum": [1] * 4, "token": row.tokens, "char": map(len, endings)}
            sizes["byte"] = [len(ending.encode()) for ending in endings]
            for norm, counts in sizes.items():
                values = [logprob / count for logprob, count in zip(alone, counts, strict=True)]
                assert row.choice(norm) == values.index(max(values))
    for name, accuracy in result.accuracies().items():
        style, metric = name.split("/")
        norm = metric.removeprefix("acc_norm_") if metric != "acc" else "sum"
        hits = [row.choice(norm) == int(raw["label"]) for row, raw in zip(result.scores[style], ROWS, strict=True)]
        assert (accuracy.correct, accuracy.n) == (sum(hits), 3)
        assert accuracy.interval[0] <= accuracy.value <= accuracy.interval[1]


def test_the_same_for_any_batch(checkpoint: OpenedModel, data: Path) -> None:
    results = [
        evaluate_hellaswag(checkpoint.model, checkpoint.tokenizer, data, batch_tokens=size) for size in (1, 100, 8192)
    ]
    for result in results[1:]:
        assert result.accuracies() == results[0].accuracies()
        for style, rows in result.scores.items():
            for row, first in zip(rows, results[0].scores[style], strict=True):
                assert row.logprobs == pytest.approx(first.logprobs, abs=1e-4)


def test_styles_can_be_chosen_and_items_limited(checkpoint: OpenedModel, data: Path) -> None:
    result = evaluate_hellaswag(checkpoint.model, checkpoint.tokenizer, data, styles=["completion"], limit=2)
    assert list(result.accuracies()) == [
        f"completion/{name}" for name in ("acc", "acc_norm_token", "acc_norm_char", "acc_norm_byte")
    ]
    assert [row.item.name for row in result.scores["completion"]] == ["24", "3"]
    with pytest.raises(ValueError, match="no style 'lm-eval'"):
        evaluate_hellaswag(checkpoint.model, checkpoint.tokenizer, data, styles=["lm-eval"])
    with pytest.raises(ValueError, match="no HellaSwag questions"):
        evaluate_hellaswag(checkpoint.model, checkpoint.tokenizer, [])


def test_each_norm_divides_by_its_own_size() -> None:
    item = HellaSwagItem("", "", "", "", "", ("", "", ""), 0)
    scores = ItemScores(item, (-6.0, -9.0, -8.0), tokens=(2, 9, 4), chars=(3, 3, 8), bytes=(6, 3, 2))
    assert {norm: scores.choice(norm) for norm in ("sum", "token", "char", "byte")} == {
        "sum": 0,
        "token": 1,
        "char": 2,
        "byte": 0,
    }
    tied = ItemScores(item, (-2.0, -1.0, -1.0), (1, 1, 1), (1, 1, 1), (1, 1, 1))
    assert tied.choice("sum") == 1


def test_the_two_styles_ask_differently(checkpoint: OpenedModel, data: Path) -> None:
    tokenizer = checkpoint.tokenizer
    first, second, third = read_items(data)

    def texts(item: HellaSwagItem, style: Any) -> list[tuple[str, str]]:
        requests = continuations(item, tokenizer, style)
        return [(tokenizer.decode(r.context), tokenizer.decode(r.continuation)) for r in requests]

    assert texts(first, "completion")[3] == (ROWS[0]["ctx"], " pulls off  roofing [title] on a roof.")
    assert texts(first, "lm_eval")[3] == (
        "Roof shingle removal: A man is sitting on a roof. He",
        " pulls off roofing. on a roof.",
    )
    assert texts(second, "lm_eval")[0][0] == "Baking: How to bake. Choose a pan. A Pan"
    assert texts(third, "lm_eval")[0][0].endswith("beginning. It ends")


@pytest.mark.parametrize(
    ("text", "expected"),
    [(" a [title] b", "a. b"), ("[header] x [substeps] y", " x y"), ("a   b", "a  b"), ("no [end", "no [end")],
)
def test_cleaning(text: str, expected: str) -> None:
    assert cleaned(text) == expected


def test_a_missing_file_says_how_to_get_it(checkpoint: OpenedModel, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no data at .*nothing.jsonl.*hellaswag_val.jsonl"):
        evaluate_hellaswag(checkpoint.model, checkpoint.tokenizer, tmp_path / "nothing.jsonl")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 4}, "line 1: 'label' must be a number from 0 to 3, it is 4"),
        ({"label": ""}, "line 1 has no label: the test set"),
        ({"label": True}, "'label' must be a number"),
        ({"endings": "one"}, "'endings' must be a list"),
        ({"endings": []}, "'endings' must be a list of texts"),
        ({"ctx": 1}, "'ctx' must be a str, it is 1"),
        (None, "line 1 is not JSON"),
        ([], "line 1 holds a JSON list"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, change: Any, message: str) -> None:
    path = tmp_path / "val.jsonl"
    path.write_text(
        "{" if change is None else json.dumps({**ROWS[0], **change} if isinstance(change, dict) else change)
    )
    with pytest.raises(ValueError, match=message):
        read_items(path)


def test_a_field_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "val.jsonl"
    path.write_text(json.dumps({key: value for key, value in ROWS[0].items() if key != "ctx_a"}))
    with pytest.raises(ValueError, match="line 1 has no 'ctx_a'; it has 'ind', 'activity_label'"):
        read_items(path)
