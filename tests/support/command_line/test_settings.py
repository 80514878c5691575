"""Settings that are numbers, from wherever they come: not finite, too large, or infinite where that means never."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.models.bigram import BigramConfig
from gpt_from_scratch.models.dictionary.ksvd import KSVDConfig
from gpt_from_scratch.models.dictionary.sparse_autoencoder import SparseAutoencoderConfig
from gpt_from_scratch.models.gpt import GPTConfig
from gpt_from_scratch.support.command_line.described import build
from gpt_from_scratch.support.command_line.settings import Many, OrNever, Threads, check_settings
from gpt_from_scratch.training.bigram.loop import BigramTraining
from gpt_from_scratch.training.config import DataConfig, RunConfig, TrainConfig
from gpt_from_scratch.training.generate import GenerateConfig
from gpt_from_scratch.training.optim.config import OptimizerConfig
from gpt_from_scratch.training.optim.schedule import ScheduleConfig
from gpt_from_scratch.training.prepare import PrepareConfig
from gpt_from_scratch.training.train_dictionary import DictionaryConfig
from gpt_from_scratch.training.train_sparse_autoencoder import AutoencoderTraining


@dataclass(frozen=True)
class Settings:
    """One field of each kind."""

    rate: float = 0.5
    perhaps: float | None = None
    timeout: OrNever = 1.0
    both: tuple[float, float] = (0.0, 1.0)
    count: int = 1
    threads: Threads | None = None
    rows: Many | None = None
    name: str = "inf"
    flag: bool = True

    def __post_init__(self) -> None:
        check_settings(self, "my.")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": math.nan}, r"my\.rate is nan: it must be a finite number"),
        ({"rate": math.inf}, r"my\.rate is inf: it must be a finite number"),
        ({"perhaps": -math.inf}, r"my\.perhaps is -inf: it must be a finite number"),
        ({"both": (0.0, math.nan)}, r"my\.both is \(0\.0, nan\): it must be a finite number"),
        ({"timeout": math.nan}, r"my\.timeout is nan: it must be a number, or inf for never"),
        ({"timeout": -math.inf}, r"my\.timeout is -inf: it must be a number, or inf for never"),
        ({"count": 10**30}, r"my\.count is 10{30}: it must be a whole number below 2\^63"),
        ({"count": -(10**30)}, r"my\.count is -10{30}"),
        ({"rate": 10**400}, r"my\.rate is 1"),
        ({"rows": 9 * 10**18}, r"my\.rows is 9000000000000000000: it must be at most 10,000,000"),
        ({"threads": 0}, r"my\.threads is 0: it must be from 1 to 1024"),
        ({"threads": 100_000}, r"my\.threads is 100000: it must be from 1 to 1024"),
    ],
)
def test_a_number_that_cannot_be_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(**change)


def test_numbers_that_can_be() -> None:
    Settings(timeout=math.inf, perhaps=0.0, count=-(2**63) + 1, threads=1024)


def test_never_comes_back_from_json() -> None:
    for written in ("inf", None):
        assert build(Settings, {"timeout": written}).timeout == math.inf
    with pytest.raises(ValueError, match="rate is 'inf', expected float"):
        build(Settings, {"rate": "inf"})


def test_marked_fields_come_back_from_json() -> None:
    assert build(Settings, {"threads": 3, "rows": 5}) == Settings(threads=3, rows=5)
    with pytest.raises(ValueError, match=r"rows is 'x', expected int or null"):
        build(Settings, {"rows": "x"})


MADE_AT_ONCE = {
    TrainConfig: ("batch_size", "micro_batch"),
    DataConfig: ("vocab_size", "n_stories", "n_validation"),
    RunConfig: ("n_samples", "n_final_samples", "sample_tokens"),
    GPTConfig: ("n_layer", "n_embd", "block_size", "ngram"),
    GenerateConfig: ("num", "max_new_tokens"),
    BigramTraining: ("batch_size", "sample_characters"),
    BigramConfig: ("n_layer", "n_head", "n_embd", "block_size"),
    DictionaryConfig: ("n_samples", "n_random", "n_seeds"),
    KSVDConfig: ("n_atoms", "iterations", "restarts"),
    AutoencoderTraining: ("n_tokens", "n_shown"),
    SparseAutoencoderConfig: ("n_features", "batch_size"),
    PrepareConfig: ("vocab_size",),
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in MADE_AT_ONCE.items() for name in names])
@pytest.mark.parametrize("number", [10**9, 9 * 10**18])
def test_what_no_memory_holds_is_refused_before_anything_is_made(kind: type[Any], name: str, number: int) -> None:
    with pytest.raises(ValueError, match=rf"{name} is {number}: it must be at most"):
        dataclasses.replace(kind(**REQUIRED.get(kind, {})), **{name: number})


EVERY = (
    *(TrainConfig, DataConfig, RunConfig, OptimizerConfig, ScheduleConfig, GPTConfig, PrepareConfig, GenerateConfig),
    *(BigramTraining, BigramConfig, DictionaryConfig, KSVDConfig, AutoencoderTraining, SparseAutoencoderConfig),
)
REQUIRED: dict[type[Any], dict[str, Any]] = {GenerateConfig: {"source": Path("x")}, PrepareConfig: {"source": "x"}}
NEVER_IS_MEANT = {"timeout", "patience", "grad_clip"}


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_every_command_refuses_what_is_not_finite_or_too_large(kind: type[Any], data: st.DataObject) -> None:
    config = kind(**REQUIRED.get(kind, {}))
    numbers = {
        field.name: value
        for field in dataclasses.fields(kind)
        if isinstance(value := getattr(config, field.name), int | float) and not isinstance(value, bool)
    }
    name = data.draw(st.sampled_from(sorted(numbers)))
    bad: list[float] = [2**63, 10**40, -(2**63)] if isinstance(numbers[name], int) else [math.nan, -math.inf]
    if isinstance(numbers[name], float) and name not in NEVER_IS_MEANT:
        bad.append(math.inf)
    with pytest.raises(ValueError, match=name):
        dataclasses.replace(config, **{name: data.draw(st.sampled_from(bad))})
