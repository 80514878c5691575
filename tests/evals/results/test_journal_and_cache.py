"""The record of a run and the cache of answers survive interruption and damage."""

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_from_scratch.evals.protocol.messages import Call, Message, Usage
from gpt_from_scratch.evals.protocol.samples import QA, SampleResult
from gpt_from_scratch.evals.results.answer_cache import Cache, CachedAnswer, content_hash
from gpt_from_scratch.evals.results.record import Journal, read_identity, read_rows
from tests.training.faults.disks import FOR_GOOD, Failures, failing_disk

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
    answer = CachedAnswer(
        "ä\ud800", Call(served_model="m", parameters={"x": 1}, usage=Usage(1, 2), transcript=[{"a": 1}])
    )
    assert cache.get("ab12") is None and "ab12" not in cache
    cache.put("ab12", answer)
    assert cache.get("ab12") == answer and "ab12" in cache
    file = tmp_path / "ab" / "ab12.json"
    for damage in ("{", "[]", json.dumps({"output": "x"})):
        file.write_text(damage)
        with pytest.warns(UserWarning, match="is damaged"):
            assert cache.get("ab12") is None


ODD = [
    *(
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"1" * 5000,
        b"null",
        b"5",
        b'"text"',
        b"[1]",
        b"{}",
        b"\x00\x00",
        b"{\r}",
        b"NaN",
    ),
    *(
        b'{"key": 1, "row": {}}',
        b'{"key": [], "row": 5}',
        b'{"key": "k"}',
        b'{"key": "k", "row": null}',
        b'{"row": {}}',
    ),
    *(
        b'{"key": "k", "row": {"sample": {"type": "New"}}}',
        b'{"run": 5}',
        b'{"run": [1]}',
        b'{"run": null}',
        b"\xed\xa0\x80",
    ),
]


@given(odd=st.one_of(st.sampled_from(ODD), st.binary()), place=st.integers(0, 2))
@settings(max_examples=150, deadline=None)
def test_an_odd_line_is_named_in_words(odd: bytes, place: int) -> None:
    odd = odd.replace(b"\n", b" ") or b" "
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        with Journal(path, IDENTITY) as journal:
            journal.append([("1", row("a")), ("2", row("b"))])
        lines = path.read_bytes().splitlines(keepends=True)
        whole = b"".join([*lines[:place], odd + b"\n", *lines[place:]])
        path.write_bytes(whole)
        for read in (lambda: Journal(path, IDENTITY), lambda: list(read_rows(path))):
            with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
                read()
            text = str(caught.value)
            assert f"line {place + 1} " in text and len(text.splitlines()) <= 3 and len(text) < 800 and text.encode()
        assert path.read_bytes() == whole


@pytest.mark.parametrize("change", [{"cost": -1.0}, {"cost": float("nan")}, {"input_tokens": -5}, {"score": "much"}])
def test_a_row_whose_numbers_are_none_is_no_row(change: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with Journal(path, IDENTITY) as journal:
        journal.append([("1", row("a"))])
    header, line = path.read_text().splitlines()
    entry = json.loads(line)
    entry["row"] |= change
    path.write_text(f"{header}\n{json.dumps(entry)}\n")
    with pytest.raises(ValueError, match=f"line 2 is odd.*{next(iter(change))}"):
        Journal(path, IDENTITY)


@pytest.mark.filterwarnings("error")
@given(odd=st.one_of(st.sampled_from(ODD), st.binary()))
@settings(max_examples=100, deadline=None)
def test_an_odd_file_of_the_cache_is_asked_for_again(odd: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(Path(folder))
        cache.put("ab12", CachedAnswer("x", Call(served_model="m", parameters={})))
        (Path(folder) / "ab" / "ab12.json").write_bytes(odd)
        with pytest.warns(UserWarning, match="is damaged") as caught:
            assert cache.get("ab12") is None
        assert len(caught) == 1 and len(str(caught[0].message)) < 1000


@pytest.mark.parametrize("change", [{"output": 5}, {"call": None}, {"call": {"served_model": "m"}}, {"output": None}])
def test_an_answer_of_another_form_is_asked_for_again(change: Any, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put("ab12", CachedAnswer("x", Call(served_model="m", parameters={})))
    file = tmp_path / "ab" / "ab12.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.warns(UserWarning, match="is damaged"):
        assert cache.get("ab12") is None
    file.unlink()
    file.mkdir()
    with pytest.warns(UserWarning, match="is damaged"):
        assert cache.get("ab12") is None


def test_an_answer_that_the_cache_cannot_keep_is_no_loss(tmp_path: Path) -> None:
    (tmp_path / "ab").write_text("a file where a folder must be")
    with pytest.warns(UserWarning, match="not kept in the cache"):
        Cache(tmp_path).put("ab12", CachedAnswer("x", Call(served_model="m", parameters={})))


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_disk_that_fails_once_loses_no_row_and_one_that_fails_for_good_leaves_whole_lines(
    tmp_path: Path, call: str
) -> None:
    path = tmp_path / "record.jsonl"
    with failing_disk(Failures(call, path.name, 1)), Journal(path, IDENTITY) as journal:
        journal.append([("a", row("a"))])
    with (
        failing_disk(Failures(call, path.name, FOR_GOOD)),
        Journal(path, IDENTITY) as journal,
        pytest.raises(OSError, match="Input/output error"),
    ):
        journal.append([("b", row("b"))])
    with Journal(path, IDENTITY) as journal:
        assert list(journal.rows) == ["a"]
        journal.append([("c", row("c"))])
    assert len(path.read_bytes().splitlines()) == 3
