"""HellaSwag while training: the figures of evals' own command, on any number of ranks, in the metrics and the report."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gpt_from_scratch.evals.scoring.hellaswag import evaluate_hellaswag
from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.tokenizer.files import load_tokenizer
from gpt_from_scratch.training import train_gpt2
from gpt_from_scratch.training.evaluation import hellaswag
from gpt_from_scratch.training.metrics.records.hellaswag import HellaSwagRecord
from gpt_from_scratch.training.report.figures import all_figures
from gpt_from_scratch.training.report.run_data import read_run

Run = Callable[..., Path]


@pytest.mark.report
def test_a_run_answers_as_the_evals_command_does(
    run: Run, questions: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hellaswag, "QUESTIONS_AT_ONCE", 2)
    folder = run("hs", "--run.hellaswag", str(questions), "--run.hellaswag-every", "4")
    found = read_run(folder)
    records = found.of(HellaSwagRecord)
    assert [record.step for record in records] == [4, 8, 12] and not found.warnings
    newest = max((folder / "checkpoints").glob("step-*")) / "model"
    with torch.no_grad():
        alone = evaluate_hellaswag(
            GPT.from_pretrained(newest), load_tokenizer(newest), questions, styles=["completion"]
        ).accuracies()
    last = records[-1]
    assert last.acc_norm == alone["completion/acc_norm_token"].value
    assert (last.acc, last.n) == (alone["completion/acc"].value, 5)
    assert "HellaSwag" in [title for title, _ in all_figures([found])]
    assert "OpenAI's GPT-2 124M" in (folder / "report.html").read_text(encoding="utf-8").replace("&#x27;", "'")
    assert f"HellaSwag {last.acc_norm:.4f} (OpenAI's GPT-2 124M 0.2955)  5 questions" in capsys.readouterr().out


def test_what_is_wrong_with_the_questions_is_said_before_the_first_step(
    arguments: list[str], questions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, message in (
        (tmp_path / "nothing.jsonl", "hellaswag_val.jsonl"),
        (questions, "question 0, cannot be encoded"),
    ):
        if path.exists():
            path.write_text(path.read_text(encoding="utf-8").replace("sat", "s\u00e4t"), encoding="utf-8")
        assert train_gpt2.main([*arguments, "--run.hellaswag", str(path)]) == 2
        assert message in capsys.readouterr().err
        assert not list((tmp_path / "runs").glob("*"))
