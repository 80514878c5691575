"""Ranks find each other in a store that is full of what earlier attempts left."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.distributed as dist

from gpt_from_scratch.training.ranks.process_group import Ranks, process_group
from gpt_from_scratch.training.ranks.rendezvous import HELLO, HERE, WELCOME, AbsentRanksError, meet


@pytest.fixture
def store() -> Iterator[dist.TCPStore]:
    yield dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


def attempt(store: dist.TCPStore, size: int, timeout_s: float = 10.0) -> list[dist.Store]:
    """All ranks at once, each with a connection of its own."""
    connections = [dist.TCPStore("127.0.0.1", store.port, is_master=False, wait_for_workers=False) for _ in range(size)]
    with ThreadPoolExecutor(size) as threads:
        return list(threads.map(lambda rank: meet(connections[rank], rank, size, timeout_s), range(size)))


def test_every_attempt_has_a_part_of_its_own_that_all_its_ranks_share(store: dist.TCPStore) -> None:
    for number in range(3):
        parts = attempt(store, 3)
        assert not parts[2].check(["address"]), "left by an earlier attempt"
        parts[number].set("address", f"attempt {number}")
        assert [part.get("address") for part in parts] == [f"attempt {number}".encode()] * 3


def test_another_number_of_ranks_meets_too(store: dist.TCPStore) -> None:
    for size in (2, 4, 1, 3):
        parts = attempt(store, size)
        assert len(parts) == size
        parts[0].set("size", str(size))
        assert parts[-1].get("size") == str(size).encode()


def test_a_rank_that_died_after_its_hello_is_waited_for_until_another_comes(store: dist.TCPStore) -> None:
    store.set(HELLO.format(1), "the name of a dead rank 1")
    store.set(WELCOME, json.dumps(["the name of a dead rank 0", "the name of a dead rank 1"]))
    parts = attempt(store, 2)
    parts[0].set("here", "yes")
    assert parts[1].get("here") == b"yes"


def test_the_missing_ranks_are_named(store: dist.TCPStore) -> None:
    with pytest.raises(AbsentRanksError, match=r"rank 0 waited 0\.2 s for all 3 ranks .* missing: rank 1, rank 2"):
        meet(store, 0, 3, 0.2)
    with pytest.raises(AbsentRanksError, match=r"rank 1 waited 0\.2 s .* missing: rank 2"):  # rank 0's hello stays
        meet(store, 1, 3, 0.2)
    assert not store.check([HERE.format("any", 0)])


ALONE = """
import torch
from gpt_from_scratch.training.ranks.process_group import Ranks, process_group
with process_group(Ranks(1, 2), torch.device("cpu")):
    print("met")
"""


def test_ctrl_c_ends_a_rank_that_waits_for_the_first_word_of_the_others() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(listening.getsockname()[1])}
        environment = os.environ | place | {"RANK": "1", "WORLD_SIZE": "2"}
        with subprocess.Popen([sys.executable, "-c", ALONE], env=environment, stderr=subprocess.PIPE, text=True) as one:
            connection, _ = listening.accept()  # it looks for the store, and this one says nothing
            one.send_signal(signal.SIGINT)
            _, said = one.communicate(timeout=60)
            connection.close()
    assert one.returncode == -signal.SIGINT and "KeyboardInterrupt" in said, said


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_finds_no_other_says_where_it_looked(rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(port))
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", "2")
    words = rf"rank {rank} of 2 did not reach the others at 127\.0\.0\.1:{port} .*\nSee their output"
    with pytest.raises(AbsentRanksError, match=words):
        process_group(Ranks(rank, 2), torch.device("cpu"), patience_s=1.0).__enter__()
