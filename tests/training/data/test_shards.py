"""Shards and their index: what comes back is what was written, and nothing damaged or hostile is taken for it."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE
from gpt_from_scratch.training.data.loader import TokenData
from gpt_from_scratch.training.data.shards import HEADER, Index, damage, read_index, write_index, write_shard
from tests.training.faults.disks import CALLS, FOR_GOOD, Failures, failing_disk

TOKENIZER = CharacterTokenizer.from_text("".join(map(chr, range(32, 127))))
STREAM = np.random.default_rng(1).integers(0, TOKENIZER.n_vocab, 1000)


def make(folder: Path, lengths: tuple[int, ...] = (300, 1, 0, 500), dtype: str = "uint16") -> Index:
    folder.mkdir(exist_ok=True)
    TOKENIZER.save(folder / TOKENIZER_FILE)
    *train, validation = np.split(STREAM, np.cumsum(lengths))
    splits = {
        "train": [write_shard(folder / f"train-{i}.tokens", [part], dtype) for i, part in enumerate(train)],
        "validation": [write_shard(folder / "validation-0.tokens", np.array_split(validation, 2), dtype)],
    }
    index = Index(folder, dtype, TOKENIZER.n_vocab, TOKENIZER.fingerprint, {"name": "random"}, splits)
    write_index(index)
    return index


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_what_was_written_comes_back(tmp_path: Path, dtype: str) -> None:
    made = make(tmp_path, dtype=dtype)
    index = read_index(tmp_path)
    assert index == made == read_index(tmp_path / "index.json")
    assert np.array_equal(np.concatenate(index.open("train")), STREAM[:801])
    assert np.array_equal(np.concatenate(index.open("validation")), STREAM[801:])
    assert all(isinstance(part, np.memmap) and part.dtype == np.dtype(dtype) for part in index.open("train"))
    assert (index.tokens("train"), index.tokens("validation")) == (801, 199)
    assert damage(index) == []


def test_the_format_is_this_one_for_good(tmp_path: Path) -> None:
    """Data that was prepared once must open in every later release."""
    write_shard(tmp_path / "a.tokens", [np.array([1, 2]), np.array([], dtype=np.int64), np.array([0x1234])], "uint16")
    tokens = bytes.fromhex("0100 0200 3412")
    header = b"GPTTOKEN" + bytes.fromhex("01000000 02000000 0300000000000000 3412000000000000")
    assert (tmp_path / "a.tokens").read_bytes() == header + hashlib.sha256(tokens).digest() + tokens
    assert HEADER.size == 64


def test_the_loader_reads_shards_as_one_stream(tmp_path: Path) -> None:
    make(tmp_path)
    data = TokenData.from_index(tmp_path, 64, tokenizer=TOKENIZER, verify=True)
    whole = TokenData.from_tokens(STREAM[:801], 64)
    every = np.arange(whole.n_samples)
    for left, right in zip(data.batch(every), whole.batch(every), strict=True):
        assert torch.equal(left, right)
    assert data.where(5) == f"sample 5: 64 tokens from 19 on of {tmp_path / 'train-3.tokens'}"
    assert TokenData.from_index(tmp_path, 64, split="validation").n_targets == 198


def test_data_of_another_tokenizer_is_refused(tmp_path: Path) -> None:
    make(tmp_path)
    other = CharacterTokenizer.from_text("abc")
    with pytest.raises(ValueError, match=r"another tokenizer .* 96 ids\) than the model has .* 4 ids\)"):
        TokenData.from_index(tmp_path, 8, tokenizer=other)
    other.save(tmp_path / TOKENIZER_FILE)
    assert "is another tokenizer" in damage(read_index(tmp_path))[0]


def test_an_unknown_split_names_the_known(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(ValueError, match="no split 'test'; it has train, validation"):
        TokenData.from_index(tmp_path, 8, split="test")


@pytest.mark.parametrize("bad", [-1, 1 << 16])
def test_an_id_that_does_not_fit_is_never_wrapped(tmp_path: Path, bad: int) -> None:
    with pytest.raises(ValueError, match=f"token id {bad} does not fit uint16"):
        write_shard(tmp_path / "a.tokens", [np.array([1]), np.array([5, bad, 7])], "uint16")
    assert list(tmp_path.iterdir()) == []


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 16
    path.write_bytes(data)


HARM: dict[str, Callable[[Path], Any]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-2]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0\0"),
    "missing": Path.unlink,
    "magic": lambda path: flip(path, 0),
    "count": lambda path: flip(path, 16),
    "hash": lambda path: flip(path, 63),
    "another shard": lambda path: shutil.copy(path.with_name("train-0.tokens"), path),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_damaged_shard_is_noticed_when_opened(tmp_path: Path, harm: str) -> None:
    make(tmp_path, (300, 300))
    HARM[harm](tmp_path / "train-1.tokens")
    with pytest.raises((ValueError, FileNotFoundError), match=r"train-1\.tokens is (damaged|missing)"):
        TokenData.from_index(tmp_path, 8)
    assert len(damage(read_index(tmp_path))) == 1


def test_a_flipped_bit_in_the_tokens_is_found_by_verify(tmp_path: Path) -> None:
    make(tmp_path)
    flip(tmp_path / "train-3.tokens", 200)
    TokenData.from_index(tmp_path, 8)
    with pytest.raises(ValueError, match=r"train-3\.tokens is damaged: its tokens do not have the SHA-256"):
        TokenData.from_index(tmp_path, 8, verify=True)


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    "name",
    [
        "../../.ssh/authorized_keys",
        "/etc/hostname",
        "C:\\x",
        "\\\\host\\x",
        "a/b",
        "..",
        ".hidden",
        "",
        "a\0b",
        "é",
        7,
        None,
    ],
)
def test_names_that_lead_out_are_refused(tmp_path: Path, name: object) -> None:
    make(tmp_path)
    edit(tmp_path / "index.json", lambda document: document["splits"]["train"][0].update(file=name))
    with pytest.raises(ValueError, match=re.escape(f"{name!r} is not a plain file name")):
        read_index(tmp_path)


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "data")
    (tmp_path / "data" / "train-0.tokens").rename(tmp_path / "secret")
    (tmp_path / "data" / "train-0.tokens").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match="link to a place outside"):
        TokenData.from_index(tmp_path / "data", 8)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda d: d.update(dtype="object"), "tokens are uint16 or uint32"),
        (lambda d: d.update(dtype="uint32"), r"train-0\.tokens is damaged: it has 664 bytes, index\.json says 1,264"),
        (lambda d: d.update(n_vocab=90), r"has the token id 95, its tokenizer 90 ids"),
        (lambda d: d["splits"]["train"][0].update(tokens=-1), "-1 is not a count"),
        (lambda d: d["splits"]["train"][0].update(tokens=1e300), "is not a count"),
        (lambda d: d["splits"]["train"][0].update(tokens=True), "is not a count"),
        (lambda d: d["splits"]["train"][0].update(sha256="00"), "is not a SHA-256"),
        (lambda d: d["splits"].update({"../x": []}), "is not a plain file name"),
        (lambda d: d.update(splits=[]), "is damaged"),
        (lambda d: d.pop("tokenizer"), "is damaged: KeyError"),
        (lambda d: d.update(format="another"), "expected format"),
        (lambda d: d.update(version=2), "version 1; it has .* 2"),
    ],
)
def test_an_index_that_cannot_be_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    make(tmp_path)
    edit(tmp_path / "index.json", change)
    with pytest.raises(ValueError, match=message):
        TokenData.from_index(tmp_path, 8)


def test_a_folder_without_an_index(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no .*index\.json: expected a folder of token shards"):
        read_index(tmp_path)
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        read_index(tmp_path)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(0, 100), min_size=1, max_size=8), block_size=st.integers(1, 40))
def test_any_division_into_shards_is_the_same_data(tmp_path: Path, lengths: list[int], block_size: int) -> None:
    if sum(lengths) <= block_size:
        return
    make(tmp_path, tuple(lengths))
    data = TokenData.from_index(tmp_path, block_size)
    tokens, targets = data.batch(np.arange(data.n_samples))
    assert targets[targets >= 0].tolist() == STREAM[1 : sum(lengths)].tolist()
    assert tokens[targets >= 0].tolist() == STREAM[: sum(lengths) - 1].tolist()


@pytest.mark.parametrize("call", CALLS)
def test_a_disk_that_fails_once_writes_the_same_shard(tmp_path: Path, call: str) -> None:
    pieces = [np.arange(50_000) % 60_000, np.array([7])]
    expected = write_shard(tmp_path / "a.tokens", iter(pieces), "uint16")
    data = (tmp_path / "a.tokens").read_bytes()
    failures = Failures(call, "a.tokens", 2)
    with failing_disk(failures):
        assert write_shard(tmp_path / "a.tokens", iter(pieces), "uint16") == expected
    assert failures.met == 2 and (tmp_path / "a.tokens").read_bytes() == data
    with failing_disk(Failures(call, "a.tokens", FOR_GOOD)), pytest.raises(OSError, match="Input/output error"):
        write_shard(tmp_path / "a.tokens", [np.array([1])], "uint16")
    assert (tmp_path / "a.tokens").read_bytes() == data and len(list(tmp_path.iterdir())) == 1
