"""`prepare` from the command line's side: the same bytes for any number of processes and however often it was killed."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpt_from_scratch.support.command_line.command import status_of
from gpt_from_scratch.support.storage.lock import locked
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.files import load_tokenizer
from gpt_from_scratch.training.data.reading.known_files import KnownFiles
from gpt_from_scratch.training.data.shards import read_index
from gpt_from_scratch.training.data.stories import TRAIN_SEED, VALIDATION_SEED, story
from gpt_from_scratch.training.prepare import PrepareConfig
from gpt_from_scratch.training.prepare import main as command

N_FILES = 12


def main(words: list[str]) -> int | str | None:
    """The exit status of the command; mistakes are printed."""
    return status_of("prepare", lambda: command(words))


def write_documents(folder: Path) -> list[str]:
    """JSONL files with documents of many lengths; returns the documents in order."""
    folder.mkdir()
    rng = np.random.default_rng(3)
    contents = []
    for file in range(N_FILES):
        texts = [f"{file} {i} " + "and so on " * int(rng.integers(0, 40)) for i in range(20)]
        (folder / f"{file:02d}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        contents += texts
    return contents


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def arguments(source: Path, out: Path, *more: str) -> list[str]:
    return [str(source), "--out", str(out), "--tokenizer", "character", "--validation-fraction", "0.2", *more]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[str]]:
    """(source, what one process made of it, its documents)."""
    folder = tmp_path_factory.mktemp("prepared")
    contents = write_documents(folder / "source")
    assert main(arguments(folder / "source", folder / "out", "--workers", "1", "--shard-tokens", "1000")) == 0
    return folder / "source", folder / "out", contents


def test_each_document_is_there_once_behind_an_end_of_text_token(prepared: tuple[Path, Path, list[str]]) -> None:
    _, out, contents = prepared
    index, tokenizer = read_index(out), load_tokenizer(out)
    assert (index.tokenizer, index.n_vocab, index.dtype) == (tokenizer.fingerprint, tokenizer.n_vocab, "uint16")
    found = []
    for split in ("train", "validation"):
        assert len(index.shards(split)) >= N_FILES and all(0 < s.tokens <= 1000 for s in index.shards(split))
        text = tokenizer.decode(np.concatenate(index.open(split)).tolist())
        assert text.startswith("<|endoftext|>")
        found += text.removeprefix("<|endoftext|>").split("<|endoftext|>")
    assert sorted(found) == sorted(contents)
    assert sorted(path.name for path in out.iterdir() if not path.name.endswith(".tokens")) == [
        "gpt_tokenizer.json",
        "index.json",
    ]


def test_what_a_pattern_skips_is_in_the_shards(tmp_path: Path) -> None:
    """Punctuation and newlines, which this pattern does not match."""
    contents = [f"Hello, world {i}!\nIt's (all) here — 100 %." * 3 for i in range(12)]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in contents))
    pattern = ["--tokenizer", "bpe", "--vocab-size", "280", "--pattern", r" ?\p{L}+| ?\p{N}+", "--workers", "1"]
    words = [str(tmp_path / "texts.jsonl"), "--out", str(tmp_path / "out"), *pattern, "--validation-fraction", "0.2"]
    assert main(words) == 0
    tokenizer, index = load_tokenizer(tmp_path / "out"), read_index(tmp_path / "out")
    text = "".join(tokenizer.decode(np.concatenate(index.open(split)).tolist()) for split in ("train", "validation"))
    assert sorted(text.removeprefix("<|endoftext|>").split("<|endoftext|>")) == sorted(contents)


def test_two_processes_make_the_same_bytes(prepared: tuple[Path, Path, list[str]], tmp_path: Path) -> None:
    source, out, _ = prepared
    assert main(arguments(source, tmp_path / "out", "--workers", "2", "--shard-tokens", "1000")) == 0
    assert content(tmp_path / "out") == content(out)


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_goes_on_to_the_same_bytes(
    prepared: tuple[Path, Path, list[str]], tmp_path: Path, with_signal: signal.Signals
) -> None:
    source, out, _ = prepared
    given = arguments(source, tmp_path / "out", "--workers", "1", "--shard-tokens", "1000")
    with subprocess.Popen([sys.executable, "-m", "gpt_from_scratch.training.prepare", *given]) as process:
        records = tmp_path / "out" / ".pieces"
        while not list(records.glob("[0-9]*.json")) and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(with_signal)
    expected = {
        signal.SIGKILL: -signal.SIGKILL,
        signal.SIGTERM: 128 + signal.SIGTERM,
        signal.SIGINT: 128 + signal.SIGINT,
    }
    if process.returncode:  # else it was too quick for us
        assert process.returncode == expected[with_signal]
        assert not (tmp_path / "out" / "index.json").exists()
    assert main(given) == 0
    assert content(tmp_path / "out") == content(out)


def test_what_is_done_is_not_done_again(
    prepared: tuple[Path, Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    source, out, _ = prepared
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert main(arguments(source, out, "--shard-tokens", "1000", "--workers", "7")) == 0
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    assert main(arguments(source, out, "--shard-tokens", "999")) == 2
    assert "holds data from another source or made with other settings" in capsys.readouterr().err


def test_only_the_first_pieces(prepared: tuple[Path, Path, list[str]], tmp_path: Path) -> None:
    source, _, contents = prepared
    assert main(arguments(source, tmp_path / "out", "--pieces", "2", "--workers", "1")) == 0
    index = read_index(tmp_path / "out")
    assert index.tokens("train") + index.tokens("validation") == sum(len(text) + 1 for text in contents[:40])


def test_a_tokenizer_of_the_stories_own_pattern_is_learned_from_training_text(tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = ["stories", "--out", str(out), "--tokenizer", "bpe", "--vocab-size", "400", "--pattern", "tinystories"]
    assert main([*given, "--pieces", "2", "--workers", "1"]) == 0
    tokenizer, index = load_tokenizer(out), read_index(out)
    assert isinstance(tokenizer, BytePairEncodingTokenizer) and tokenizer.pattern == "tinystories"
    learned = BytePairEncodingTokenizer.from_text(
        "<|endoftext|>".join(story(TRAIN_SEED, number).text for number in range(2_000)), 400, pattern="tinystories"
    )
    assert learned.fingerprint == tokenizer.fingerprint == index.tokenizer
    held_out = tokenizer.decode(np.concatenate(index.open("validation")).tolist()).split("<|endoftext|>")[1:]
    assert held_out == [story(VALIDATION_SEED, number).text for number in range(2_000)]


def test_verify_names_what_is_damaged(
    prepared: tuple[Path, Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = prepared
    assert main(["verify", str(out)]) == 0 and "is whole" in capsys.readouterr().out
    damaged = tmp_path / "out"
    damaged.mkdir()
    for name, data in content(out).items():
        (damaged / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if name == "train-00003-000.tokens" else data)
    (damaged / "train-00005-000.tokens").unlink()
    assert main(["verify", str(damaged)]) == 1
    said = capsys.readouterr().out
    assert "train-00003-000.tokens is damaged" in said and "train-00005-000.tokens is missing" in said
    assert main(["verify", str(tmp_path)]) == 2 and "expected a folder of token shards" in capsys.readouterr().err


def test_an_error_in_a_worker_is_told_plainly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "source"
    write_documents(source)
    with (source / "07.jsonl").open("a") as file:
        file.write('{"text": 7}\n')
    out = tmp_path / "out"
    tokenizer = tmp_path / "tokenizer.json"
    from gpt_from_scratch.tokenizer.character import CharacterTokenizer

    CharacterTokenizer.from_text("".join(map(chr, range(32, 127)))).save(tokenizer)
    assert main([str(source), "--out", str(out), "--tokenizer", str(tokenizer), "--workers", "1"]) == 2
    said = capsys.readouterr().err
    assert "07.jsonl, the line at byte" in said and "holds int, expected text" in said and "Traceback" not in said
    assert not (out / "index.json").exists()


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_rows_without_a_text_are_left_out_and_counted(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"text": f"row {number} of many"} if number % 7 else {"text": None} for number in range(70)]
    path = tmp_path / f"rows.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ["--tokenizer", "character", "--workers", "1", "--validation-fraction", "0.3"]
    assert main([str(path), "--out", str(tmp_path / "out"), *options]) == 0
    said = capsys.readouterr().out
    assert "left out: 10 rows whose 'text' is null" in said and str(path) in said.replace("\n", "")
    tokenizer, index = load_tokenizer(tmp_path / "out"), read_index(tmp_path / "out")
    text = tokenizer.decode([int(i) for split in ("train", "validation") for part in index.open(split) for i in part])
    assert {f"row {number} of many" in text for number in range(70) if number % 7} == {True}


@pytest.mark.parametrize("packed", ["gzip", "utf-16"])
def test_a_text_that_is_packed_or_in_utf16_gives_the_shards_of_the_plain_one(packed: str, tmp_path: Path) -> None:
    text = "".join(f"line {number} of a text\nand é more\n" for number in range(400))
    (tmp_path / "plain.txt").write_text(text, encoding="utf-8")
    (tmp_path / "other.txt").write_bytes(gzip.compress(text.encode()) if packed == "gzip" else text.encode("utf-16"))
    shards = []
    for name in ("plain", "other"):
        assert main([str(tmp_path / f"{name}.txt"), "--out", str(tmp_path / name), "--tokenizer", "character"]) == 0
        index = read_index(tmp_path / name)
        shards.append({split: np.concatenate(index.open(split)).tolist() for split in index.splits})
    assert shards[0] == shards[1]


def test_too_few_pieces_for_training_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["stories", "--pieces", "1", "--tokenizer", "bpe", "--vocab-size", "300", "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert "the first 1 of 21 pieces of stories have no text for train: raise --pieces" in capsys.readouterr().err


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("some text\nand more\n" * 100)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    assert main(arguments(tmp_path / "a.txt", tmp_path / "out")) == 2
    assert "holds 'thesis.tex' and no index of shards" in capsys.readouterr().err


def test_two_at_once_in_one_folder(prepared: tuple[Path, Path, list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    source, out, _ = prepared
    with locked(out / ".lock", "a test", "nothing"):
        assert main(arguments(source, out)) == 2
    told = capsys.readouterr().err
    assert f"another process is preparing data in {out}: process {os.getpid()} on" in told and "another --out" in told


def test_a_link_in_the_locks_place_keeps_its_target(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("some text\nand more\n" * 100)
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".lock").symlink_to(tmp_path / "thesis.tex")
    assert main(arguments(tmp_path / "a.txt", tmp_path / "out")) == 2
    assert "is a link or a folder, where a lock would lie: remove it" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_all_of_it_on_one_side_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "only one"}\n')
    given = [str(tmp_path / "a.jsonl"), "--out", str(tmp_path / "out"), "--tokenizer", "character", "--workers", "1"]
    assert main(given) == 2
    assert "no text for validation (--validation-fraction is 0.01)" in capsys.readouterr().err


@pytest.mark.parametrize("half_done", [False, True])
def test_what_another_release_prepared_is_kept_and_what_to_do_is_said(
    half_done: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, index = tmp_path / "out", tmp_path / "out" / "index.json"
    (tmp_path / "a.txt").write_text("some text\nand more\n" * 100)
    assert main(arguments(tmp_path / "a.txt", out)) == 0
    document = json.loads(index.read_bytes())
    document["source"] = {"key": "made another way"}  # as the first release noted it
    index.write_text(json.dumps(document))
    if half_done:
        (out / ".prepare.json").write_text(json.dumps(document["source"]))
        index.unlink()
    capsys.readouterr()
    assert main(arguments(tmp_path / "a.txt", out)) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 3 and "was prepared by another release" in told[0] and f"train --data {out}" in told[1]
    assert read_index(out).tokens("train") > 0 if not half_done else not index.exists()


@pytest.mark.parametrize("setting", [{"validation_fraction": 0.0}, {"shard_tokens": 0}, {"workers": 0}, {"pieces": 0}])
def test_impossible_settings(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        PrepareConfig("source", **setting)  # type: ignore[arg-type]


def test_the_default_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPT_DATA_DIR", "/big")
    assert PrepareConfig("fineweb-edu").folder == Path("/big/fineweb-edu")
    assert PrepareConfig(os.devnull + "/novel.txt").folder == Path("/big/novel")


def test_the_workers_need_no_torch() -> None:
    code = "import sys, gpt_from_scratch.training.prepare; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize("kind", ["txt", "jsonl", "parquet", "jsonl.gz"])
@pytest.mark.parametrize("half_done", [False, True], ids=["done", "stopped"])
def test_a_file_of_the_same_name_size_and_time_is_other_data(
    kind: str, half_done: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Copied over with its times kept, as rsync and cp -p do; one text has its letters in another order."""
    rows = [f"row {number:03} of many" for number in range(200)]
    path, out = tmp_path / f"rows.{kind}", tmp_path / "out"

    def write(texts: list[str]) -> None:
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        if kind == "parquet":
            pq.write_table(pa.table({"text": texts}), path, compression="none", use_dictionary=False)
        elif kind == "txt":
            path.write_text("\n".join(texts))
        elif kind == "jsonl":
            path.write_text(lines)
        else:
            path.write_bytes(gzip.compress(lines.encode(), compresslevel=0, mtime=0))

    given = [str(path), "--out", str(out), "--tokenizer", "character", "--workers", "1", "--validation-fraction", "0.3"]
    write(rows)
    before = path.stat()
    assert main(given) == 0
    if half_done:  # as a run leaves it that was stopped before its last piece
        source = json.loads((out / "index.json").read_bytes())["source"]
        (out / ".prepare.json").write_text(json.dumps({name: source[name] for name in ("key", "key_version")}))
        (out / "index.json").unlink()
    write([row[::-1] for row in rows])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size and path.stat().st_mtime_ns == before.st_mtime_ns
    capsys.readouterr()
    assert main(given) == 2
    assert "holds data from another source" in capsys.readouterr().err
    write(rows)  # the same again, at another time
    assert half_done or main(given) == 0


def test_a_file_that_changes_while_it_is_read_makes_no_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "text.txt", tmp_path / "out"
    path.write_text("line of a text\n" * 400)
    original = KnownFiles.of

    def changing(paths: Sequence[Path]) -> KnownFiles:
        known = original(paths)
        path.write_text("txet a fo enil\n" * 400)
        return known

    monkeypatch.setattr(KnownFiles, "of", staticmethod(changing))
    assert main([str(path), "--out", str(out), "--tokenizer", "character", "--workers", "1"]) == 2
    assert "text.txt changed while it was read" in capsys.readouterr().err and not (out / "index.json").exists()
