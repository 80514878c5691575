"""Every source gives every document exactly once, however it is divided, and says what is wrong and where."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.splitting.patterns import PATTERNS
from gpt_from_scratch.training.data import registry
from gpt_from_scratch.training.data.preparing import opening
from gpt_from_scratch.training.data.reading.hub import HubDataSet, HubName, HubSource
from gpt_from_scratch.training.data.source import LeftOut, Source, SourceRequest
from gpt_from_scratch.training.data.sources.jsonl import JsonlSource
from gpt_from_scratch.training.data.sources.parquet import ParquetSource
from gpt_from_scratch.training.data.sources.text import TextSource
from gpt_from_scratch.training.data.stories import TRAIN_SEED, VALIDATION_SEED, story

HUB = {name: source.hub for name, source in registry.PREPARED.items() if isinstance(source, HubDataSet)}
files_in_tmp = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
lines = st.lists(st.text(st.sampled_from("ab é🙂\t.\r"), max_size=12)).map("\n".join)


def open_source(source: str, field: str, validation_fraction: float) -> Source:
    return opening.open_source(SourceRequest(source, field, validation_fraction))


def texts(source: Source, split: str | None = None) -> list[str]:
    """The documents of a source, put together again."""
    whole: list[str] = []
    for piece in range(source.n_pieces):
        for document in source.documents(piece):
            if isinstance(document, LeftOut):
                raise ValueError(document.why)
            if split in (None, document.split):
                if document.begins or not whole:
                    whole.append("")
                whole[-1] += document.text
    return whole


@files_in_tmp
@given(content=lines.filter(bool), piece_bytes=st.integers(1, 40), fraction=st.floats(0.01, 0.99))
def test_a_text_comes_back_however_it_is_cut(tmp_path: Path, content: str, piece_bytes: int, fraction: float) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content.encode())
    source = TextSource(path, fraction, piece_bytes)
    assert texts(source) == [content]
    assert "".join(texts(source, "train") + texts(source, "validation")) == content  # the end is for validation


def test_the_files_of_a_folder_are_documents(tmp_path: Path) -> None:
    for name, size in (("a.txt", 500), ("b.md", 300), ("c.txt", 200)):
        (tmp_path / name).write_text(f"line of {name[0]}\n" * (size // 10))
    (tmp_path / "d.txt").write_text("")
    source = TextSource(tmp_path, 0.4, piece_bytes=100)
    assert [text[8] for text in texts(source, "train")] == ["a", "b"]
    assert [text[8] for text in texts(source, "validation")] == ["b", "c"]
    assert 0.55 < sum(map(len, texts(source, "train"))) / 1000 < 0.65


@pytest.mark.parametrize("pattern", sorted(PATTERNS.keys() - {"none"}))  # "none" has one word, the whole text
def test_pieces_have_the_tokens_of_the_whole(tmp_path: Path, pattern: str) -> None:
    content = "".join(
        f"Scene {i}\n\nKing:\nWhat, 'tis {i * 37} o'clock!\n  No:\n/it's\n\tnot;\r\nA line {'and ' * (i % 7)}.\n"
        for i in range(150)
    )
    path = tmp_path / "play.txt"
    path.write_bytes(content.encode())
    tokenizer = BytePairEncodingTokenizer.from_text(content, 300, pattern=pattern)
    source = TextSource(path, 0.3, piece_bytes=300)
    assert source.n_pieces > 20
    pieces = [document.text for piece in range(source.n_pieces) for document in source.documents(piece)]
    assert [token for text in pieces for token in tokenizer.encode_ordinary(text)] == tokenizer.encode_ordinary(content)


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffabc".encode())
    assert "".join(texts(TextSource(tmp_path, 0.3))) == "abc"


def test_text_that_is_not_utf8_is_named_with_its_offset(tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes(b"caf\xc3\xa9\nA\n" * 20 + b"caf\xe9\nA\n")
    with pytest.raises(ValueError, match=r"latin\.txt is UTF-8 up to byte 0xe9 at offset 163 "):
        texts(TextSource(path, 0.1, piece_bytes=30))


@files_in_tmp
@given(contents=st.lists(st.text(max_size=20), min_size=1), piece_bytes=st.integers(1, 100), blank=st.booleans())
def test_each_line_of_jsonl_comes_once(tmp_path: Path, contents: list[str], piece_bytes: int, blank: bool) -> None:
    path = tmp_path / "documents.jsonl"
    path.write_text(("\n\n" if blank else "\n").join(json.dumps({"id": 1, "text": text}) for text in contents))
    assert texts(JsonlSource([path], SourceRequest("", "text", 0.5), piece_bytes)) == contents


@pytest.mark.parametrize(
    "line, message",
    [
        ('{"text": "a"', r"the line at byte 14 is not JSON"),
        ('["text"]', "the line at byte 14 holds a list, expected an object"),
        (
            '{"txt": "a", "id": 1}',
            r"has no field 'text'. It has 'txt', 'id'; --field selects one.* Did you mean --field txt\?",
        ),
        ('{"text": 5}', "the field 'text' holds int, expected text"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_wrong_line_is_named_with_its_offset(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "documents.jsonl"
    path.write_text('{"text": "b"}\n' + line)
    with pytest.raises(ValueError, match=rf"documents\.jsonl, .*{message}"):
        texts(JsonlSource([path], SourceRequest("", "text", 0.5)))


def test_equal_documents_are_on_the_same_side_and_the_share_is_met(tmp_path: Path) -> None:
    path = tmp_path / "documents.jsonl"
    contents = [f"document {i % 2000}" for i in range(4000)]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in contents))
    source = JsonlSource([path], SourceRequest("", "text", 0.1), piece_bytes=1000)
    train, validation = Counter(texts(source, "train")), Counter(texts(source, "validation"))
    assert not train.keys() & validation.keys() and train + validation == Counter(contents)
    assert 150 < len(validation) < 250


def test_parquet_row_groups(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table({"id": list(range(25)), "body": [f"document {i}" for i in range(25)]})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=10)
    source = open_source(str(tmp_path), "body", 0.5)
    assert isinstance(source, ParquetSource) and source.n_pieces == 3
    assert texts(source) == [f"document {i}" for i in range(25)]
    with pytest.raises(ValueError, match=r"a\.parquet has no field 'boddy'. .* Did you mean --field body\?"):
        open_source(str(tmp_path), "boddy", 0.5)
    (tmp_path / "a.parquet").write_bytes(b"PAR?")
    with pytest.raises(ValueError, match=r"a\.parquet is not a Parquet file"):
        open_source(str(tmp_path), "body", 0.5)


def test_a_stream_of_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub cannot be reached from a test: the same loader reads local files, through the same stream and its parts."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    for name in ("train-0", "train-1", "validation-0"):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"text": f"{name} {i}"}) + "\n" for i in range(3)))
    data_files = {split: [str(tmp_path / f"{split}-*.jsonl")] for split in ("train", "validation")}
    source = HubSource(HubName("json", validation="validation"), SourceRequest("", None, 0.5), data_files=data_files)
    assert source.n_pieces == 3
    assert texts(source, "train") == [f"train-{file} {i}" for file in range(2) for i in range(3)]
    assert texts(source, "validation") == [f"validation-0 {i}" for i in range(3)]
    split_by_hash = HubSource(HubName("json"), SourceRequest("", "text", 0.5), data_files=data_files)
    assert sorted(texts(split_by_hash)) == texts(source, "train")


def test_the_kind_of_a_source_is_seen(tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.md").write_text("text")
    (tmp_path / "lines").mkdir()
    (tmp_path / "lines" / "a.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "lines" / ".b.jsonl").write_text("hidden")
    assert isinstance(open_source(str(tmp_path / "text"), "text", 0.1), TextSource)
    for path in (tmp_path / "lines", tmp_path / "lines" / "a.jsonl"):
        source = open_source(str(path), "text", 0.1)
        assert isinstance(source, JsonlSource) and source.n_pieces == 1


def test_an_unknown_source_says_what_would_be_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="Did you mean fineweb-edu?"):
        open_source("finewebedu", "text", 0.1)
    with pytest.raises(FileNotFoundError, match=r"(?s)no file or folder nowhere.*or fineweb-edu, stories, tinystories"):
        open_source("nowhere", "text", 0.1)
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(ValueError, match="is empty"):
        open_source("empty.txt", "text", 0.1)


def test_a_source_describes_what_decides_its_pieces(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("some text")
    before = open_source(str(path), "text", 0.1).describe()
    assert before == open_source(str(path), "text", 0.1).describe() == json.loads(json.dumps(before))
    path.write_text("some more text")
    os.utime(path, ns=(1, 1))
    assert open_source(str(path), "text", 0.1).describe() != before


def test_stories_are_a_source_with_the_runs_own_stories() -> None:
    source = open_source("stories", "text", 0.01)
    assert source.n_pieces == 21
    held_out, first = next(source.documents(0)), next(source.documents(2))
    assert (held_out.split, held_out.text) == ("validation", story(VALIDATION_SEED, 0).text)
    assert (first.split, first.text) == ("train", story(TRAIN_SEED, 2_000).text)


@pytest.mark.parametrize("name", HUB)
def test_without_a_network_the_hub_s_data_are_words_at_once(name: str, tmp_path: Path) -> None:
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:1", "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-m", "gpt_from_scratch.training.prepare", name]
    run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 2 and len(run.stderr.splitlines()) <= 3 and "Retrying" not in run.stderr
    assert f"hub did not provide {HUB[name].path}: " in run.stderr and "refused" in run.stderr
    assert not list(tmp_path.glob("data/*"))
