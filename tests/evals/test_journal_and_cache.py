import json
from pathlib import Path
from typing import Any

import pytest

from gpt_from_scratch.evals.cache import Answer, Cache, content_hash
from gpt_from_scratch.evals.journal import Journal, read_identity, read_rows
from gpt_from_scratch.evals.messages import Call, Message, Usage
from gpt_from_scratch.evals.samples import QA, SampleResult

IDENTITY = {"model": "m", "temperature": 0.0}


def row(text: str, **more: Any) -> SampleResult:
    sample = QA(id=text, body=text, ideal_answers=[text])
    return SampleResult(
        **{
            "input": [Message("user", text)],
            "output": text,
            "output_parsed": text,
            "output_correct": text,
            "sample": sample,
            "score": 1.0,
            **more,
        }
    )


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    path, rows = tmp_path / "new" / "run.jsonl", [row("ä\u2028\ud800"), row("b", score=None, error="no", cost=0.5)]
    with Journal(path, IDENTITY) as journal:
        journal.append([("1", rows[0])])
        journal.append([("2", rows[1])])
    with Journal(path, IDENTITY) as journal:
        assert journal.rows == {"1": rows[0], "2": rows[1]} and journal.superseded == []
        journal.append([("2", row("c"))])
        assert journal.superseded == [rows[1]]
    assert list(read_rows(path)) == [rows[0], row("c")] and read_identity(path) == IDENTITY
    assert path.read_text().isascii() and len(path.read_text().splitlines()) == 4


def test_it_is_on_the_disk_before_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    with Journal(tmp_path / "run.jsonl", IDENTITY) as journal:
        journal.append([("0", row("first"))])
        monkeypatch.setattr("os.fsync", lambda descriptor: synced.append((tmp_path / "run.jsonl").read_text()))
        journal.append([("1", row("a")), ("2", row("b"))])
    assert len(synced) == 1 and synced[0].count("\n") == 4


def test_a_file_killed_at_any_byte_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with Journal(path, IDENTITY) as journal:
        journal.append([("1", row("a"))])
        journal.append([("2", row("b"))])
    whole = path.read_bytes()
    for length in range(0, len(whole), 13):
        path.write_bytes(whole[:length])
        with Journal(path, IDENTITY) as journal:
            assert len(journal.rows) == max(0, whole[:length].count(b"\n") - 1)
            journal.append([("3", row("c"))])
        assert list(read_rows(path))[-1] == row("c")


def test_what_is_no_record(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    for content in ('{"a": 1}\n', "text\n", '{"run": {"model": "m", "temperature": 0.0}}\nbad\n', "[]\n"):
        path.write_text(content)
        with pytest.raises(ValueError, match="is not the record of a run"):
            Journal(path, IDENTITY)
        with pytest.raises(ValueError, match="is not the record of a run"):
            list(read_rows(path))
        assert path.read_text() == content
    path.write_text('{"run": {"model": "other", "temperature": 0.0}}\n')
    with pytest.raises(ValueError, match="'other' then, 'm' now"):
        Journal(path, IDENTITY)


def test_hashes_are_of_content() -> None:
    assert content_hash({"a": 1, "b": [Message("user", "x")]}) == content_hash({"b": [Message("user", "x")], "a": 1})
    assert content_hash("a") != content_hash("b") and len(content_hash("\ud800")) == 64


def test_the_cache(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    answer = Answer("ä\ud800", Call(served_model="m", parameters={"x": 1}, usage=Usage(1, 2), transcript=[{"a": 1}]))
    assert cache.get("ab12") is None and "ab12" not in cache
    cache.put("ab12", answer)
    assert cache.get("ab12") == answer and "ab12" in cache
    file = tmp_path / "ab" / "ab12.json"
    for damage in ("{", "[]", json.dumps({"output": "x"})):
        file.write_text(damage)
        with pytest.warns(UserWarning, match="is damaged"):
            assert cache.get("ab12") is None
