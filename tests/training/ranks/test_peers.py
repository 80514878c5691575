"""Heartbeats in the store tell which rank is gone."""

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
import torch.distributed as dist

from gpt_from_scratch.training.ranks import heartbeat as module
from gpt_from_scratch.training.ranks.heartbeat import PeerLostError, Peers
from gpt_from_scratch.training.ranks.process_group import Ranks, process_group

GLOO = "[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:48558."


@pytest.fixture
def store() -> Iterator[dist.Store]:
    server = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    yield dist.PrefixStore("peers", server)


@contextmanager
def living(store: dist.Store, rank: int, size: int, step: int = 0) -> Iterator[None]:
    """Another rank, which gives signs of life meanwhile."""
    ends, other = threading.Event(), Peers(rank, size)
    other.step = step

    def live() -> None:
        with other.watching(store):
            ends.wait(20)

    thread = threading.Thread(target=live)
    thread.start()
    yield
    ends.set()
    thread.join()


def lost(store: dist.Store, size: int) -> str:
    """What rank 0 says when a collective of its fails."""
    with pytest.raises(PeerLostError) as caught, Peers(0, size).watching(store):
        raise RuntimeError(GLOO)
    assert caught.value.__cause__ is not None
    return str(caught.value)


def test_the_silent_rank_is_named_with_its_step(store: dist.Store) -> None:
    frozen = Peers(1, 3)
    frozen._store = store
    frozen.step, frozen.doing = 37, "training"
    frozen._beat()  # once, and never again
    with living(store, 2, 3):
        text = lost(store, 3)
    assert "rank 1 was last seen at step 37 (training)" in text and "no heartbeat in" in text
    assert "rank 2" not in text and "torch says: [gloo/transport" in text


class ApartClocks:
    """The module `time` of a host whose clock is no one else's: its wall clock may not be asked at all."""

    sleep = staticmethod(time.sleep)
    monotonic = staticmethod(time.monotonic)


def test_clocks_that_are_apart_accuse_nobody_and_call_no_dead_rank_alive(
    store: dist.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "time", ApartClocks)
    dead = Peers(1, 3)
    dead._store = store
    for _ in range(1000):  # it had run for long
        dead._beat()
    with living(store, 2, 3):
        text = lost(store, 3)
    assert "rank 1 was last seen" in text and "rank 2" not in text
    with living(store, 1, 2):
        assert "rank 1 is alive" in lost(store, 2)


def test_where_all_live_it_is_said_where_each_stands(store: dist.Store) -> None:
    with living(store, 1, 2, step=5):
        assert "rank 1 is alive, at step 5 (starting) for" in lost(store, 2)


def test_ranks_that_noticed_the_same_blame_the_network(store: dist.Store) -> None:
    with pytest.raises(PeerLostError), Peers(1, 2).watching(store):
        raise RuntimeError(GLOO)
    assert "every other rank reports the same" in lost(store, 2)


def test_a_store_that_is_gone_is_said() -> None:
    server = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    client = dist.TCPStore("127.0.0.1", server.port, is_master=False, wait_for_workers=False)
    with pytest.raises(PeerLostError, match="the store of the run does not answer"), Peers(0, 2).watching(client):
        del server
        gc.collect()
        raise RuntimeError(GLOO)


def test_the_last_word_of_a_rank_that_failed_is_told(store: dist.Store) -> None:
    failing = Peers(1, 2)
    with pytest.raises(IndexError, match="a defect"), failing.watching(store):
        failing.step = 5
        raise IndexError("a defect")
    with (
        pytest.raises(PeerLostError, match=r"rank 1 at step 0 .*failed: IndexError: a defect"),
        Peers(0, 2).watching(store),
    ):
        raise RuntimeError(GLOO)


def test_a_defect_stays_what_it_is(store: dist.Store) -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as caught, Peers(0, 2).watching(store):
        torch.zeros(2, 3) @ torch.zeros(2, 3)
    assert not isinstance(caught.value, PeerLostError)


def test_a_rank_that_stands_still_is_told_with_its_stacks(
    store: dist.Store, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    stuck = Peers(0, 1, timeout_s=0.2)
    stuck.step, stuck.doing = 7, module.TRAINING
    with stuck.watching(store):
        time.sleep(1.0)
    said = capfd.readouterr().err
    assert said.count("rank 0 has been at step 7") == 1 and "test_peers.py" in said


def test_one_rank_writes_nothing_and_waits_for_nobody() -> None:
    with process_group(Ranks(), torch.device("cpu")) as alone:
        alone.at(3, module.TRAINING)
        assert (alone.step, alone.doing) == (3, module.TRAINING) and not dist.is_initialized()
