"""Ranks that were started differently end with words, before anything that could hang."""

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_from_scratch.support.storage.json_text import flat
from gpt_from_scratch.training.config import TrainConfig, as_json
from gpt_from_scratch.training.ranks.agreement import RanksDifferError, compare_in, difference
from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.ranks.rendezvous import AbsentRanksError
from gpt_from_scratch.training.run.command_line import parse
from gpt_from_scratch.training.run.common_ground import MAY_DIFFER, about_settings, checksum, code_version
from gpt_from_scratch.training.run.context import Machine

ROOT = Path(__file__).parents[3]


def compared(abouts: list[dict[str, Any]]) -> list[str | None]:
    """What each rank is told, each in a thread with a connection of its own."""
    server = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)

    def rank(number: int) -> str | None:
        store = dist.TCPStore("127.0.0.1", server.port, is_master=False, wait_for_workers=False)
        try:
            compare_in(store, number, len(abouts), abouts[number], 10.0)
        except RanksDifferError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(len(abouts)) as threads:
        return list(threads.map(rank, range(len(abouts))))


def test_ranks_that_agree_go_on() -> None:
    assert compared([{"seed": 1, "lr": [0.1, None]}] * 3) == [None] * 3


def test_ranks_that_differ_are_all_told_the_same() -> None:
    told = compared([{"seed": 1, "lr": 0.1}, {"seed": 1, "lr": 0.2}, {"seed": 2, "lr": 0.1}])
    assert len(set(told)) == 1 and told[0] is not None
    assert "lr: 0.1 on ranks 0, 2, 0.2 on rank 1; seed: 1 on ranks 0 to 1, 2 on rank 2." in told[0]


def test_a_rank_that_goes_without_a_word_is_named() -> None:
    server = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    with pytest.raises(AbsentRanksError, match="rank 1 started and disappeared"):
        compare_in(server, 0, 2, {}, 0.2)


def test_many_differences_are_few_words() -> None:
    words = difference([{f"field {n}": n * rank for n in range(100)} for rank in range(300)])
    assert len(words.splitlines()) == 2 and len(words) < 6000 and "and 93 more" in words


def test_every_setting_is_compared_but_those_that_may_differ() -> None:
    """A setting that is added is compared, too, unless it is named."""
    machine = Machine(Ranks(0, 2), torch.device("cpu"), torch.float32)
    plain = about_settings(parse([]), machine)
    names = flat(as_json(TrainConfig()))
    assert set(MAY_DIFFER) <= set(names)
    assert set(names) - set(MAY_DIFFER) <= set(plain)
    for change in (["--seed", "5"], ["--parallel", "fsdp"], ["--run.eval-every", "7"], ["--optimizer.lr", "0.5"]):
        assert about_settings(parse(change), machine) != plain
    for change in (["--run.loggers", "wandb"], ["--profile"]):
        assert about_settings(parse(change), machine) == plain
    assert len(code_version()) == 16


@given(st.integers(0, 999), st.sampled_from([torch.float32, torch.bfloat16, torch.int64, torch.bool]), st.data())
@settings(max_examples=40)
def test_a_checksum_sees_one_value_and_one_place(size: int, dtype: torch.dtype, data: st.DataObject) -> None:
    tensor = (torch.arange(size + 2) % 7 % 2).to(dtype)
    assert checksum([("w", tensor)]) == checksum([("w", tensor.clone().view(1, -1)[0])])
    place = data.draw(st.integers(0, size + 1))
    other = tensor.clone()
    other[place] = 1 - other[place].to(torch.int64)
    swapped = tensor.clone()
    swapped[[0, 1]] = tensor[[1, 0]]
    assert len({checksum([("w", each)]) for each in (tensor, other, swapped)}) >= (3 if place > 1 else 2)
    assert checksum([("v", tensor)]) != checksum([("w", tensor)])


SHORT = "--steps 3 --run.eval-every 0 --run.sample-every 0 --run.n-final-samples 1 --run.timeout 20 --run.patience 40"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"--parallel": "fsdp", "--optimizer.lr": "0.5"}, ["parallel: ", "optimizer.lr: ", "on rank 1"]),
        ({"--data.path": "other.txt"}, ["the validation rows (sha256): "]),
    ],
    ids=["settings", "data"],
)
def test_two_ranks_with_different_command_lines(
    arguments: list[str], tmp_path: Path, changes: dict[str, str], words: list[str]
) -> None:
    """Both end with status 2 and the same words; no folder of a run stays."""
    text = Path(arguments[arguments.index("--data.path") + 1]).read_text(encoding="utf-8")
    (tmp_path / "other.txt").write_text(text[::-1], encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    processes = []
    for rank in range(2):
        given = [*arguments, *SHORT.split()]
        if rank == 1:
            for name, value in changes.items():
                given += [name, str(tmp_path / value) if value.endswith(".txt") else value]
        environment = {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        processes.append(
            subprocess.Popen(
                [sys.executable, "training/train_gpt2.py", *given],
                cwd=ROOT,
                env=os.environ | environment | {"OMP_NUM_THREADS": "1", "LOCAL_RANK": str(rank)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [2, 2], said
    for rank, message in enumerate(said):
        assert message.startswith(f"error on rank {rank}: the ranks of this run differ in "), message
        assert all(word in message for word in words) and len(message.splitlines()) <= 3
    assert said[0].partition(":")[2] == said[1].partition(":")[2]
    assert not list((tmp_path / "runs").glob("*/metrics.jsonl"))
