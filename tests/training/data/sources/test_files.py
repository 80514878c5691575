"""Every kind of file, packed in every way, in nested folders and by patterns; what is broken is counted, named or refused."""

import bz2
import csv
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from gpt_from_scratch.support.command_line.command import status_of
from gpt_from_scratch.training.data.preparing.left_out import LeftOutRows
from gpt_from_scratch.training.data.preparing.opening import open_source
from gpt_from_scratch.training.data.source import Document, LeftOut, Source, SourceRequest
from gpt_from_scratch.training.prepare import main as command

TEXTS = [f'document {i}, with "quotes"\nand a line é {i % 7}' for i in range(50)]
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}


def main(*words: str) -> int | str | None:
    return status_of("prepare", lambda: command(list(words)))


def found(source: Source) -> list[str]:
    return [row.text for row in rows(source) if isinstance(row, Document)]


def rows(source: Source) -> list[Document | LeftOut]:
    return [row for piece in range(source.n_pieces) for row in source.documents(piece)]


def write_jsonl(path: Path, texts: list[str], field: str = "text") -> None:
    path.write_bytes("".join(json.dumps({"id": 1, field: text}) + "\n" for text in texts).encode())


def write_csv(path: Path, texts: list[str], field: str = "text", delimiter: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([["id", field], *(["1", text] for text in texts)])


def write_parquet(path: Path, texts: list[str], field: str = "text") -> None:
    parquet.write_table(pa.table({"id": [1] * len(texts), field: texts}), path, row_group_size=20)


def write_arrow(path: Path, texts: list[str], field: str = "text") -> None:
    table = pa.table({"id": [1] * len(texts), field: texts})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=20)


def write_stream(path: Path, texts: list[str], field: str = "text") -> None:
    table = pa.table({"id": [1] * len(texts), field: texts})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=20)


WRITERS = {
    "a.jsonl": write_jsonl,
    "a.csv": write_csv,
    "a.tsv": lambda path, texts, field="text": write_csv(path, texts, field, "\t"),
    "a.parquet": write_parquet,
    "a.feather": write_arrow,
    "a.arrow": write_stream,
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("field", ["text", "content", "anything"])
def test_every_kind_of_table_and_its_field_is_found(tmp_path: Path, name: str, field: str) -> None:
    if (field, name.partition(".")[2]) in (("anything", "csv"), ("anything", "tsv")):
        return  # of a CSV's columns nothing says which one is text
    WRITERS[name](tmp_path / name, TEXTS, field)
    for asked in (SourceRequest(str(tmp_path)), SourceRequest(str(tmp_path / name), field)):
        assert found(open_source(asked)) == TEXTS
    with pytest.raises(ValueError, match=rf"has no field '{field}x'. It has 'id', .*Did you mean --field {field}\?"):
        only = rows(open_source(SourceRequest(str(tmp_path / name), f"{field}x")))  # of tables it is known at once
        raise ValueError({row.why for row in only if isinstance(row, LeftOut) and row.broken})


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt"])
def test_packed_files_and_those_that_are_cut_off(tmp_path: Path, name: str, packed: str) -> None:
    plain = tmp_path / name
    if name == "a.txt":
        plain.write_text("\n".join(TEXTS))
    else:
        WRITERS[name](plain, TEXTS)
    content = PACKERS[packed](plain.read_bytes())
    plain.unlink()
    path = tmp_path / f"{name}{packed}"
    path.write_bytes(content)
    whole = found(open_source(SourceRequest(str(tmp_path))))
    assert "".join(whole) == ("\n" if name == "a.txt" else "").join(TEXTS)
    if packed:
        path.write_bytes(content[: -len(content) // 3])
        with pytest.raises(ValueError, match=rf"{path.name} is damaged or cut off"):
            found(open_source(SourceRequest(str(path))))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(st.binary(max_size=3000), min_size=1, max_size=4),
    reads=st.lists(st.integers(1, 2000)),
    cut=st.integers(1, 12),
)
def test_zstandard_in_several_frames_is_read_to_its_end_or_refused(
    tmp_path: Path, parts: list[bytes], reads: list[int], cut: int
) -> None:
    from gpt_from_scratch.support.storage.zstandard_files import open_zstandard

    path, whole = tmp_path / "a.zst", b"".join(parts)
    packed = b"".join(zstandard.compress(part) for part in parts)
    path.write_bytes(packed)
    with open_zstandard(path) as file:
        place = 0
        for count in reads:
            piece = file.read(count)
            assert piece == whole[place : place + count] and file.tell() == place + len(piece)
            place += len(piece)
        file.seek(0)
        assert file.read() == whole
    last = len(zstandard.compress(parts[-1]))
    path.write_bytes(packed[: -min(cut, last - 1)])
    with pytest.raises(EOFError), open_zstandard(path) as file:
        file.read()


def test_nested_folders_patterns_and_hidden_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("b/2", "a/1", ".hidden"):
        (tmp_path / place).mkdir(parents=True)
        write_jsonl(tmp_path / place / "x.jsonl", [place])
    write_jsonl(tmp_path / "a" / ".y.jsonl", ["hidden"])
    (tmp_path / "README.md").write_text("about the data")
    assert found(open_source(SourceRequest(str(tmp_path)))) == ["a/1", "b/2"]
    assert found(open_source(SourceRequest(str(tmp_path / "*" / "1" / "*.jsonl")))) == ["a/1"]
    monkeypatch.chdir(tmp_path)
    assert found(open_source(SourceRequest("**/x.jsonl"))) == ["a/1", "b/2"]
    with pytest.raises(FileNotFoundError, match=r"no file or folder \*\*/z.jsonl"):
        open_source(SourceRequest("**/z.jsonl"))
    write_csv(tmp_path / "b" / "c.csv", ["other"])
    with pytest.raises(ValueError, match=r"files of several kinds, CSV and JSON lines: name one kind"):
        open_source(SourceRequest(str(tmp_path)))
    (tmp_path / "t").mkdir()
    for name in ("a.txt", "b.txt", "c.md"):
        (tmp_path / "t" / name).write_text(name * 20)
    assert "".join(found(open_source(SourceRequest("t/*.txt")))) == "a.txt" * 20 + "b.txt" * 20


def write_broken(path: Path) -> None:
    lines = [f'{{"text": "good {i}"}}' for i in range(20)]
    lines[3], lines[5], lines[9] = "{no", '{"text": null}', '{"txt": "a"}'
    path.write_text("\n".join(lines))


def test_broken_rows_are_counted_and_named_up_to_a_budget(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.jsonl"
    write_broken(path)
    out = ["--tokenizer", "character", "--validation-fraction", "0.3", "--workers", "1", "--out", str(tmp_path / "out")]
    assert main(str(path), *out) == 2
    assert "the line at byte 57 is not JSON" in capsys.readouterr().err
    assert main(str(path), *out, "--max-bad-rows", "1") == 2
    assert "2 rows are broken, --max-bad-rows allows 1" in capsys.readouterr().err
    assert main(str(path), *out, "--max-bad-rows", "2") == 0
    said = capsys.readouterr().out
    assert "left out: 2 rows that are broken; the first: " in said and "the line at byte 57 is not JSON" in said
    assert "left out: 1 rows whose 'text' is null" in said


def test_broken_rows_of_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,text\n1,good\n2\n\n3,"also\ngood"\n4,x,y\n5,"never closed')
    left_out = LeftOutRows()
    for row in rows(open_source(SourceRequest(str(path)))):
        if isinstance(row, LeftOut):
            left_out.add(row)
    assert found(open_source(SourceRequest(str(path)))) == ["good", "also\ngood"]
    assert left_out.kinds["that are broken"][0] == 3
    assert "the row that ends at line 3 has 1 cells, expected 2" in left_out.kinds["that are broken"][1]


def test_a_map_and_a_filter_of_the_users(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(
        "def joined(row):\n    return None if row['id'] == 3 else f\"{row['title']}: {row['text']}\"\n"
        "def even(text):\n    return int(text.split()[-1]) % 2 == 0\n"
        "def fails(text):\n    return 1 / 0\n"
        "def number(row):\n    return 5\n"
    )
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"id": i, "title": "T", "text": f"number {i}"}) + "\n" for i in range(6)))
    asked = SourceRequest(str(path), map=f"{mine}:joined", filter=f"{mine}:even")
    source = open_source(asked)
    assert found(source) == [f"T: number {i}" for i in (0, 2, 4)]
    whys = [row.why for row in rows(source) if isinstance(row, LeftOut)]
    assert whys == [f"that {mine}:even refuses", f"that {mine}:joined leaves out", f"that {mine}:even refuses"]
    before = source.describe()
    for option, name, message in [
        ("filter", "fails", r"--filter .*mine.py:fails failed at .*a.jsonl, the line at byte 0: ZeroDivisionError"),
        ("map", "number", r"--map .*mine.py:number returned int, expected text or None"),
    ]:
        with pytest.raises(ValueError, match=message):
            found(open_source(SourceRequest(str(path), **{option: f"{mine}:{name}"})))
    with pytest.raises(ValueError, match="has no function 'nothing'"):
        open_source(SourceRequest(str(path), map=f"{mine}:nothing"))
    with pytest.raises(ValueError, match="expected module:function or file.py:function"):
        open_source(SourceRequest(str(path), map="joined"))
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        open_source(SourceRequest(str(path), map="no.py:joined"))
    mine.write_text(mine.read_text() + "# changed\n")
    assert open_source(asked).describe() != before  # another function is other data
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(ValueError, match="--filter is for rows, .*a.txt is text"):
        open_source(SourceRequest(str(tmp_path / "a.txt"), filter=f"{mine}:even"))
    # Other processes find it, too.
    out = ["--tokenizer", "character", "--validation-fraction", "0.4", "--workers", "2", "--out", str(tmp_path / "out")]
    assert main(str(path), *out, "--map", f"{mine}:joined") == 0
    assert "left out: 1 rows that" in capsys.readouterr().out


def test_damaged_tables_are_named(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.feather", "a.arrow"):
        path = tmp_path / name
        WRITERS[name](path, TEXTS)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match=rf"{name}.*(damaged|cut off)"):
            found(open_source(SourceRequest(str(path))))
