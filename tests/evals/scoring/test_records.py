"""CORE's records compared: the same questions after the same examples, and no others."""

import json
from pathlib import Path

import pytest

from gpt_from_scratch.evals.__main__ import main
from gpt_from_scratch.evals.results import results
from gpt_from_scratch.evals.results.compare import compare


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    bundle = tmp_path / "bundle"
    (bundle / "eval_data").mkdir(parents=True)
    tasks = "".join(
        f"{{label: {name}, dataset_uri: {name}.jsonl, num_fewshot: [{shots}], icl_task_type: multiple_choice}}, "
        for name, shots in [("few", 2), ("zero", 0)]
    )
    (bundle / "core.yaml").write_text(f"icl_tasks: [{tasks}]")
    (bundle / "eval_meta_data.csv").write_text("Eval Task,Random baseline\nfew,50\nzero,50\n")
    rows = [{"query": f"Is {i % 7} even?", "choices": ["yes", "no"], "gold": i % 7 % 2} for i in range(9)]
    for name in ("few", "zero"):  # the same texts in both, and some of them twice
        (bundle / "eval_data" / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return bundle


def core(folder: Path, bundle: Path, out: Path, *arguments: str) -> Path:
    command = ["core", "--checkpoint", str(folder), "--data", str(bundle), "--device", "cpu", "--out", str(out)]
    assert main([*command, *arguments]) == 0
    return out


def test_core_with_two_limits_is_refused_where_the_examples_differ(folder: Path, bundle: Path, tmp_path: Path) -> None:
    whole = core(folder, bundle, tmp_path / "whole")
    part = core(folder, bundle, tmp_path / "part", "--limit", "5")
    with pytest.raises(ValueError, match=r"of the 10 questions in both stood after other examples.*Give both runs one"):
        compare(whole, part)
    zero = core(folder, bundle, tmp_path / "zero", "--limit", "5", "--tasks", "zero")
    lines = compare(whole, zero)  # no examples, so nothing differs; and never paired with the other task's equal texts
    assert lines[3] == "5 samples in both: B is better in 0, worse in 0" and "(13 by A, 0 by B)" in lines[4]
    assert compare(whole, whole)[3].startswith("18 samples in both")
    hashes = {results.load_identity(run)["data"] for run in (whole, part, zero)}
    assert len(hashes) == 3
    rows = results.load(whole)
    assert len({row.sample.id for row in rows}) == 18 and all(row.prompt_hash for row in rows)


def test_a_record_of_an_older_version_is_opened_and_what_it_lacks_is_told(
    folder: Path, bundle: Path, tmp_path: Path
) -> None:
    new = core(folder, bundle, tmp_path / "new")
    old = tmp_path / "old.jsonl"
    lines = [json.loads(line) for line in (new / "record.jsonl").read_text().splitlines()]
    del lines[0]["run"]["data"]
    for place, line in enumerate(lines[1:]):
        line["key"] = line["row"]["sample"]["id"] = f"few:{place}"
        line["row"]["prompt_hash"] = ""
    old.write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = compare(old, new)
    assert said[3].startswith("18 samples in both")
    assert said[4].startswith(
        "not known: whether the same examples stood before the questions; the record of A is of an"
    )
