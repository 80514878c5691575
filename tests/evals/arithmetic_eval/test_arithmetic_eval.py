"""The arithmetic eval from its problems to its table."""

import random
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest

from gpt_from_scratch.evals.arithmetic.sample_generation import create_samples
from gpt_from_scratch.evals.arithmetic_eval import arithmetic_eval, visualization
from gpt_from_scratch.evals.protocol.samples import QA
from gpt_from_scratch.evals.providers.echo_provider import EchoProvider
from gpt_from_scratch.evals.providers.offline import OracleProvider

matplotlib.use("Agg")

THEIRS = [
    *("input", "other_output", "output", "output_parsed", "output_correct", "score", "sample.id"),
    *("sample.splits.max_problem_depth", "sample.splits.problem_length", "sample.comments", "sample.type"),
    *("sample.created_by", "sample.body", "sample.ideal_answers"),
]


def run(model: str = "oracle", count: int = 60, **options: Any) -> pd.DataFrame:
    return arithmetic_eval.create_and_run_eval(model=model, max_depth=6, num_problems=count, progress=False, **options)


def faulty_oracle(count: int) -> OracleProvider:
    """An oracle whose errors grow with depth: at depth d it is wrong with probability d / 8."""

    def corrupt(sample: Any, answer: str) -> str:
        wrong = random.Random(sample.id).random() < int(sample.splits["max_problem_depth"]) / 8
        return str(float(answer) * 2 + 1) if wrong else answer

    return OracleProvider(create_samples(6, count, seed=0), corrupt)


def test_the_table_has_evalugators_columns_first() -> None:
    frame = run()
    assert list(frame.columns[: len(THEIRS)]) == THEIRS
    assert {"error", "served_model", "prompt_hash", "input_tokens", "cost"} <= set(frame.columns[len(THEIRS) :])
    row = frame.iloc[0]
    assert isinstance(row["sample.splits.max_problem_depth"], str) and row["sample.type"] == "QA"
    assert row["input"] == row["sample.body"] and row["input"][-1]["role"] == "user"
    assert row["sample.ideal_answers"] == [row["output_correct"]]
    assert len(frame) == 60 and frame["score"].dtype == np.float64


def test_an_oracle_is_right_and_an_echo_is_not() -> None:
    assert run("oracle")["score"].mean() == 1.0
    assert run("oracle", scorer="seed")["score"].mean() == 1.0
    assert run("echo", scorer="seed")["score"].mean() == 0.0
    assert run("echo", count=150, max_tokens=1000)["score"].mean() == 0.0


def test_two_runs_ask_the_same_whatever_the_model() -> None:
    assert list(run("oracle")["sample.id"]) == list(run("echo")["sample.id"])
    assert list(run(seed=1)["sample.id"]) != list(run()["sample.id"])


def test_shots_are_other_problems_and_their_answers() -> None:
    frame = run("oracle", few_shot=2)
    assert frame["score"].mean() == 1.0
    first = [message["role"] for message in frame["input"][0]]
    assert first == ["system", "user", "assistant", "user", "assistant", "user"]
    shots = {frame["input"][0][1]["content"], frame["input"][0][3]["content"]}
    plain = run("oracle")
    assert not shots & {messages[-1]["content"] for messages in plain["input"]}
    assert list(plain["sample.id"]) == list(frame["sample.id"])


def test_the_heatmap_shows_errors_that_grow_with_depth(tmp_path: Path) -> None:
    frame = run(provider=faulty_oracle(400), count=400)
    means, counts, depths, labels = visualization.accuracy_grid(frame)
    assert depths == [1, 2, 3, 4, 5, 6] and counts.sum() == 400 and len(labels) <= 15
    by_depth = np.nansum(means * counts, axis=1) / counts.sum(axis=1)
    assert by_depth == pytest.approx([1 - d / 8 for d in depths], abs=0.15)
    assert np.isnan(means[counts == 0]).all()
    figure = visualization.plot_heatmap(frame, path=tmp_path / "map.png", annotate_counts=True)
    axes, colorbar = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1", "2", "3", "4", "5", "6"]
    assert [label.get_text() for label in axes.get_xticklabels()] == labels
    assert colorbar.get_ylabel() == "average accuracy"
    drawn = np.ma.filled(axes.images[0].get_array(), np.nan)
    np.testing.assert_array_equal(drawn, means)
    texts = [text.get_text() for text in axes.texts]
    assert len(texts) == (counts > 0).sum() and f"{means[0, 0]:.2f}\nn={counts[0, 0]}" in texts
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


def test_grids_by_hand() -> None:
    frame = pd.DataFrame(
        {
            visualization.DEPTH: ["1", "1", "10", "2", "2"],
            visualization.LENGTH: ["7", "7", "1000", "30", "30"],
            "score": [1.0, 0.0, 1.0, 0.5, np.nan],
        }
    )
    means, counts, depths, labels = visualization.accuracy_grid(frame, num_bins=3)
    assert depths == [1, 2, 10], "as numbers, not as text"
    assert labels == ["7–36", "37–190", "191–1000"]
    np.testing.assert_array_equal(means, [[0.5, np.nan, np.nan], [0.5, np.nan, np.nan], [np.nan, np.nan, 1.0]])
    np.testing.assert_array_equal(counts, [[2, 0, 0], [1, 0, 0], [0, 0, 1]])


@pytest.mark.parametrize("lengths", [[7], [7, 7], [7, 8], [1, 2, 3], [5, 10_000]])
@pytest.mark.parametrize("num_bins", [1, 2, 15, 500])
def test_bins_hold_every_length(lengths: list[int], num_bins: int) -> None:
    edges = visualization.log_bins(np.array(lengths), num_bins)
    assert edges[0] <= min(lengths) and max(lengths) < edges[-1]
    assert (np.diff(edges) > 0).all() and 2 <= len(edges) <= num_bins + 1


def test_drawing_on_axes_of_ones_own_and_nothing_to_draw() -> None:
    import matplotlib.pyplot as plt

    frame, before = run(), plt.get_fignums()
    figure, axes = plt.subplots()
    assert visualization.plot_heatmap(frame, ax=axes) is figure
    plt.close(figure)
    visualization.plot_heatmap(frame)
    assert plt.get_fignums() == before, "no figure is left open"
    with pytest.raises(ValueError, match="no problem has a score"):
        visualization.plot_heatmap(frame.assign(score=None))


def test_other_samples_of_its_provider_raise() -> None:
    with pytest.raises(KeyError, match="the oracle was given no sample"):
        run(provider=OracleProvider([QA(id="x", body="other", ideal_answers=["1"])]))
    assert run("echo", provider=EchoProvider(), limit=5).shape[0] == 5
