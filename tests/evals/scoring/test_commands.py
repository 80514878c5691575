"""The commands, as they are called: what they print, what they leave behind, and that ranks change nothing."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpt_from_scratch.evals.__main__ import main
from gpt_from_scratch.evals.scoring import command_line as commands


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    with path.open("w") as file:
        for i in range(9):
            context = "A man " + "walks and " * i + "stops. "
            row = {"ind": i, "activity_label": "Walking", "ctx_a": context, "ctx_b": "he", "ctx": context + "he"}
            endings = [f"{word} {i} times." for word in ("falls", "sings", "runs far away", "sits")]
            print(json.dumps({**row, "endings": endings, "label": i % 4}), file=file)
    return path


def results(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    summary = json.loads((folder / "summary.json").read_text())
    lines = [json.loads(line) for line in (folder / "record.jsonl").read_text().splitlines()]
    return summary, [line["row"] for line in lines if "row" in line]


def test_hellaswag_prints_and_writes_all_norms_and_ranks_change_nothing(
    folder: Path, questions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["hellaswag", "--checkpoint", str(folder), "--data", str(questions), "--device", "cpu"]
    arguments += ["--batch-tokens", "200"]
    assert main([*arguments, "--out", str(tmp_path / "one")]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("hellaswag of tiny-run-step-00000020\n")
    summary, rows = results(tmp_path / "one")
    assert len(summary["results"]) == 8 and len(rows) == 9
    assert all(set(row["other_output"]) == {"lm_eval", "completion"} for row in rows)
    for name, figure in summary["results"].items():
        assert f"{name:<28}{figure['value']:>10.4f}" in printed
        assert figure["interval"][0] <= figure["value"] <= figure["interval"][1]
    assert summary["settings"]["data"] == str(questions)
    page = (tmp_path / "one" / "report.html").read_text()
    assert "HellaSwag, lm_eval/acc_norm_char, of tiny-run-step-00000020" in page and "A man walks and" in page
    assert main(["compare", str(tmp_path / "one"), str(tmp_path / "one")]) == 0
    assert f"A  {summary['results']['lm_eval/acc_norm_char']['value']:.4f}" in capsys.readouterr().out

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-m", "gpt_from_scratch.evals", *arguments, "--out", str(tmp_path / "two")]
    ranks = [
        subprocess.Popen(command, env={**common, "RANK": rank, "LOCAL_RANK": rank}, stdout=subprocess.PIPE, text=True)
        for rank in "01"
    ]
    outputs = [rank.communicate(timeout=240)[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0]
    assert outputs[0].startswith("hellaswag of") and outputs[1] == ""  # one reports
    other, other_rows = results(tmp_path / "two")
    assert other["results"] == summary["results"]
    assert other_rows == rows  # to the last bit


def test_without_pydantic_the_figures_are_printed_and_written(
    folder: Path, questions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)
    for name in [name for name in sys.modules if name.startswith(("pydantic.", "gpt_from_scratch.evals.scoring.rec"))]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith("gpt_from_scratch.evals.protocol.samples")]:
        monkeypatch.delitem(sys.modules, name)
    arguments = ["hellaswag", "--checkpoint", str(folder), "--data", str(questions), "--device", "cpu", "--limit", "1"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert "they need pydantic" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["summary.json"]


def test_bits_per_byte(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.txt").write_text("Some text. " * 10)
    arguments = ["bits-per-byte", "--checkpoint", str(folder), "--data", str(tmp_path / "text.txt"), "--device", "cpu"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    value = summary["results"]["bits_per_byte"]["value"]
    assert f"bits per byte  {value:.4f}" in capsys.readouterr().out
    assert (summary["results"]["bytes"], summary["results"]["tokens"]) == (110, 110)
    main([*arguments, "--dtype", "bf16", "--out", str(tmp_path / "bf16")])
    rounded = json.loads((tmp_path / "bf16" / "summary.json").read_text())["results"]["bits_per_byte"]["value"]
    assert rounded != value and rounded == pytest.approx(value, rel=0.05)


def test_core(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle"
    (bundle / "eval_data").mkdir(parents=True)
    tasks = [
        "{label: t, dataset_uri: t.jsonl, num_fewshot: [2], icl_task_type: multiple_choice}",
        "{label: ../<s>, dataset_uri: s.jsonl, num_fewshot: [0], icl_task_type: schema}",
        "{label: say, dataset_uri: say.jsonl, num_fewshot: [0], icl_task_type: language_modeling}",
    ]
    (bundle / "core.yaml").write_text(f"icl_tasks: [{', '.join(tasks)}]")
    (bundle / "eval_meta_data.csv").write_text("Eval Task,Random baseline\nt,50\n../<s>,50\nsay,0\n")
    bundled: dict[str, list[dict[str, Any]]] = {
        "t": [{"query": f"Is {i} even?", "choices": ["yes", "no"], "gold": i % 2} for i in range(8)],
        "s": [{"context_options": [f"It is {i}, not", "It is so"], "continuation": "odd", "gold": 1} for i in range(4)],
        "say": [{"context": f"Say {i}", "continuation": "<script>"} for i in range(3)],
    }
    for name, items in bundled.items():
        (bundle / "eval_data" / f"{name}.jsonl").write_text("\n".join(map(json.dumps, items)))
    monkeypatch.chdir(tmp_path)
    assert main(["core", "--checkpoint", str(folder), "--data", str(bundle), "--device", "cpu"]) == 0
    (out,) = (tmp_path / "runs" / "evals").glob("core-tiny-run-step-00000020-*")
    summary, rows = results(out)
    assert [sum(row["sample"]["splits"]["task"] == task for row in rows) for task in ("t", "../<s>", "say")] == [
        8,
        4,
        3,
    ]
    accuracies = {task: figures["accuracy"] for task, figures in summary["results"]["tasks"].items()}
    assert accuracies["t"] == sum(row["score"] for row in rows if row["sample"]["splits"]["task"] == "t") / 8
    centred = [(accuracies["t"] - 0.5) / 0.5, (accuracies["../<s>"] - 0.5) / 0.5, accuracies["say"]]
    assert summary["results"]["CORE"]["value"] == pytest.approx(sum(centred) / 3)
    assert "CORE" in capsys.readouterr().out

    index = (out / "report.html").read_text()
    pages = {path.name: path.read_text() for path in (out / "report").iterdir()}
    assert sorted(pages) == ["00-t.html", "01--s-.html", "02-say.html"]  # whatever a label holds
    assert all(f'href="report/{name}"' in index for name in pages) and "../&lt;s&gt;" in index
    assert "Is 3 even?" in pages["00-t.html"] and f"{accuracies['t']:.4f}" in index
    assert "… odd" in pages["01--s-.html"] and "It is so" in pages["01--s-.html"]
    assert "&lt;script&gt;" in pages["02-say.html"] and "something else" in pages["02-say.html"]
    assert "<h1>CORE, of tiny-run-step-00000020: " in index
    assert main(["compare", str(out), str(out)]) == 0
    assert f"A  {sum(row['score'] for row in rows) / 15:.4f}" in capsys.readouterr().out
    part = ["--tasks", "say", "--out", str(tmp_path / "part")]
    assert main(["core", "--checkpoint", str(folder), "--data", str(bundle), "--device", "cpu", *part]) == 0
    assert "<h1>mean of 1 tasks (not CORE), of tiny-run" in (tmp_path / "part" / "report.html").read_text()


def test_missing_data_says_how_to_get_it(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command, file in [("hellaswag", "data/hellaswag_val.jsonl"), ("core", "data/eval_bundle")]:
        with pytest.raises(FileNotFoundError, match=f"there is no data at {file}.* bring https://"):
            main([command, "--checkpoint", str(folder), "--device", "cpu"])


@pytest.mark.parametrize("out", [None, "runs"])
def test_a_place_that_cannot_be_is_told_before_anything_is_scored(
    out: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").touch()
    words = ["--checkpoint", "nothing", "--data", "nothing", *(["--out", out] if out else [])]
    for command in (commands.bits_per_byte, commands.hellaswag, commands.core):
        with pytest.raises(ValueError, match=r"cannot be a folder: .*runs is a file\. Name another place: --out"):
            command(words)
