"""A checkpoint that several ranks write together: threads stand for the ranks here, and once they are real."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.training.checkpoints import CheckpointStore, DamagedCheckpointError, NonFiniteError, parts
from gpt_from_scratch.training.checkpoints.parts import own_part
from gpt_from_scratch.training.checkpoints.space import PartError
from gpt_from_scratch.training.ranks.process_group import Ranks
from tests.training.checkpoints.run import CONFIG, TOKENIZER, assert_is_step, state_at

SIZE = 3


@dataclass(frozen=True)
class ThreadRanks(Ranks):
    """Ranks of threads in this process."""

    barrier_: threading.Barrier = field(default_factory=lambda: threading.Barrier(SIZE))
    said: dict[str, Any] = field(default_factory=dict)

    def agree(self, value: Any) -> Any:
        self.barrier_.wait(10)
        if self.is_first:
            self.said["value"] = value
        self.barrier_.wait(10)
        return self.said["value"]


class Team:
    """Three ranks, each with its own store of the same folder."""

    def __init__(self, folder: Path, **options: Any) -> None:
        barrier, said = threading.Barrier(SIZE), {}
        self.ranks = [ThreadRanks(rank, SIZE, rank, barrier, said) for rank in range(SIZE)]
        self.stores = [CheckpointStore(folder, **options) for _ in range(SIZE)]

    def save(self, given: dict[str, Any], step: int, wait: bool = True) -> list[Future[None]]:
        """Every rank saves its part; their outcomes, in order."""

        def one(rank: int) -> None:
            ranks, store = self.ranks[rank], self.stores[rank]
            mine = {kind: own_part(given[kind], ranks) for kind in ("weights", "tensors")}
            store.save(step, **{**given, **mine}, wait=wait, ranks=ranks)
            store.finish()

        with ThreadPoolExecutor(SIZE) as pool:
            return [pool.submit(one, rank) for rank in range(SIZE)]


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize(
    "config", [CONFIG, GPTConfig(8, TOKENIZER.n_vocab, 2, 1, 8, position="rotary", tie_head=False)]
)
def test_parts_make_one_checkpoint(tmp_path: Path, config: GPTConfig, wait: bool) -> None:
    team = Team(tmp_path, keep_last=1)
    for step in (1, 2):
        for outcome in team.save(state_at(step, config), step, wait):
            outcome.result()
    store = CheckpointStore(tmp_path)
    assert_is_step(store.load(), 2)
    assert store.steps() == [2]
    names = sorted(path.name for path in store.path_of(2).rglob("*") if path.is_file())
    assert names == [
        "config.json",
        *(["configuration_gpt_from_scratch.py"] if config.beyond_gpt2() else []),
        "generation_config.json",
        "gpt_tokenizer.json",
        "manifest.json",
        *[f"model-{i:05d}-of-00003.safetensors" for i in (1, 2, 3)],
        "model.safetensors.index.json",
        *(["modeling_gpt_from_scratch.py"] if config.beyond_gpt2() else []),
        *[f"optimizer-{i:05d}-of-00003.safetensors" for i in (1, 2, 3)],
        "state.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_transformers_opens_the_parts_of_a_gpt2(tmp_path: Path) -> None:
    from transformers import GPT2LMHeadModel

    torch.manual_seed(0)
    model = GPT(CONFIG)
    for outcome in Team(tmp_path).save({**state_at(1), "weights": model.state_dict()}, 1):
        outcome.result()
    theirs = GPT2LMHeadModel.from_pretrained(CheckpointStore(tmp_path).path_of(1) / "model").eval()
    tokens = torch.randint(CONFIG.vocab_size, (2, 8))
    with torch.no_grad():
        torch.testing.assert_close(theirs(tokens).logits, model(tokens), atol=1e-4, rtol=0)


def test_every_tensor_has_one_owner_and_the_load_is_even() -> None:
    tensors = {f"t{i}": torch.zeros(i % 7, 100) for i in range(50)}
    owned = [own_part(tensors, Ranks(rank, SIZE)) for rank in range(SIZE)]
    assert sorted(name for part in owned for name in part) == sorted(tensors)
    sizes = [sum(tensor.numel() for tensor in part.values()) for part in owned]
    assert max(sizes) - min(sizes) <= 600


@pytest.mark.parametrize("name", ["ln_f.weight", "wte.weight", "h.0.mlp.c_fc.weight"])
def test_nan_on_any_rank_is_never_saved(tmp_path: Path, name: str) -> None:
    team = Team(tmp_path)
    given = state_at(1)
    given["weights"][name].view(-1)[2] = float("nan")
    owner = next(r.rank for r in team.ranks if name in own_part(given["weights"], r))
    error = team.save(given, 1)[0].exception()
    assert isinstance(error, NonFiniteError if owner == 0 else PartError)
    assert re.search(rf"not saved, since these hold NaN or infinity: {re.escape(name)}$", str(error))
    assert owner == 0 or str(error).startswith(f"rank {owner}: ")
    assert CheckpointStore(tmp_path).steps() == []


def test_a_part_that_never_comes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PEER_TIMEOUT", 0.3)
    write_part = parts.write_part
    monkeypatch.setattr(
        parts, "write_part", lambda folder, ranks, *given: ranks.rank == 2 or write_part(folder, ranks, *given)
    )
    error = Team(tmp_path).save(state_at(1), 1)[0].exception()
    assert isinstance(error, PartError) and "ranks [2] have not written their parts" in str(error)
    assert list(tmp_path.iterdir()) == []


@contextmanager
def disk_full_for(rank: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    write_part = parts.write_part

    def full(folder: Path, ranks: Ranks, *given: Any) -> None:
        if ranks.rank == rank:
            raise OSError(28, "No space left on device")
        write_part(folder, ranks, *given)

    with monkeypatch.context() as patch:
        patch.setattr(parts, "write_part", full)
        yield


@pytest.mark.parametrize("rank", range(SIZE))
def test_a_full_disk_on_any_rank_is_told_by_rank_0_and_all_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: int
) -> None:
    told: list[str] = []
    team = Team(tmp_path, warn=told.append)
    for outcome in team.save(state_at(1), 1):
        outcome.result()
    with disk_full_for(rank, monkeypatch):
        for outcome in team.save(state_at(2), 2):
            outcome.result()
    assert len(told) == 1 and "the disk is full" in told[0] and "that of step 1" in told[0]
    for outcome in team.save(state_at(3), 3):
        outcome.result()
    assert CheckpointStore(tmp_path).steps() == [1, 3] and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "name",
    [
        "model/model-00002-of-00003.safetensors",
        "optimizer-00003-of-00003.safetensors",
        "model/model.safetensors.index.json",
    ],
)
def test_damage_in_a_part_is_noticed(tmp_path: Path, name: str) -> None:
    for outcome in Team(tmp_path).save(state_at(1), 1):
        outcome.result()
    path = CheckpointStore(tmp_path).path_of(1) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedCheckpointError, match=name):
        CheckpointStore(tmp_path, warn=lambda line: None).load()


def test_fsdp_saves_beside_the_training_and_one_process_goes_on(tmp_path: Path) -> None:
    """Two real ranks; their shards are gathered tensor by tensor, and read back by a world of another size: this process."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launch, "-m", "tests.training.checkpoints.fsdp_run", tmp_path]
    result = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    expected = load_file(tmp_path / "expected.safetensors")
    loaded = CheckpointStore(tmp_path / "checkpoints").load()
    assert loaded is not None and loaded.step == 2
    found = {**loaded.model().state_dict(), **loaded.tensors}
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
