"""The machine code of the Triton kernels for four chip families, made without a GPU, and the committed table of it."""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

if importlib.util.find_spec("triton") is None:
    pytest.skip("no CUDA: nor triton, which would compile for it", allow_module_level=True)
import triton
import triton.language as tl

from gpt_from_scratch.benchmarks.gpu import tune_kernels
from gpt_from_scratch.kernels.launch_config import HEADER, Config, parse_table, show_line
from gpt_from_scratch.kernels.ops.attention import benchmark
from gpt_from_scratch.kernels.ops.attention import launches as attention
from gpt_from_scratch.kernels.ops.attention.triton_parts import passes
from gpt_from_scratch.kernels.ops.layer_norm import launches as norms
from gpt_from_scratch.kernels.proof import inspection
from gpt_from_scratch.kernels.proof.machine_code import (
    CHIPS,
    MachineCode,
    compile_for,
    count,
    main_loop,
    read,
    source_of,
)
from gpt_from_scratch.kernels.proof.sources import source_hash
from gpt_from_scratch.kernels.registry import load_ops
from gpt_from_scratch.kernels.triton_tools import configs
from gpt_from_scratch.kernels.triton_tools.launch import Launch, recording
from gpt_from_scratch.kernels.triton_tools.subjects import Subject, empty

ROOT = Path(__file__).parents[3]
COMMITTED = [ROOT / "benchmarks" / "results" / f"kernels_machine_code_{family}.json" for family in configs.FAMILIES]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, MachineCode]:
    """The covering set by the command that a user runs, in a process that does not interpret."""
    out = tmp_path_factory.mktemp("machine_code") / "table.json"
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    result = subprocess.run(
        [sys.executable, "-m", "gpt_from_scratch.kernels", "--inspect", "--out", str(out)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return {key: MachineCode(**code) for key, code in json.loads(out.read_text())["kernels"].items()}


def test_nothing_spills_and_everything_fits(compiled: dict[str, MachineCode]) -> None:
    """The command's own verdict was good; here its figures, so that a verdict that sees nothing fails, too."""
    for family in configs.FAMILIES:
        mine = {key: code for key, code in compiled.items() if key.startswith(f"{family} ")}
        assert len(mine) >= 14
        for key, code in mine.items():
            assert code.spilled == 0 and code.atomic == 0, key
            assert 0 < code.registers <= 512 and code.shared <= CHIPS[family].shared_program, key
            assert code.occupancy > 0, key
            assert bool(code.matrix) == ("attention" in key), key
            if "activation" not in key:  # GELU's, outside a loop
                assert bool(code.exp) == ("attention" in key or "loss" in key or "combine" in key), key


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_the_committed_table_is_of_these_sources(path: Path) -> None:
    """Every configuration × dtype × head size of a family, without a complaint; a changed kernel needs a new table."""
    family, table = path.stem.removeprefix("kernels_machine_code_"), inspection.read_table(path)
    assert table["source"] == source_hash(), (
        "the kernels changed since the table was made: python -m gpt_from_scratch.kernels --inspect --set everything "
        f"--target {family} --out benchmarks/results/{path.name}"
    )
    subjects = {subject.key: subject for subject in inspection.everything(family)}
    assert list(table["kernels"]) == list(subjects)
    for key, code in table["kernels"].items():
        assert inspection.complaints(subjects[key], MachineCode(**code)) == []


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_the_committed_table_is_what_the_compiler_makes(path: Path, compiled: dict[str, MachineCode]) -> None:
    """Another triton makes other code; of that only spills and limits are asked, above."""
    table = inspection.read_table(path)
    if table["triton"] == triton.__version__:
        common = compiled.keys() & table["kernels"].keys()
        assert len(common) > 8
        assert {key: compiled[key] for key in common} == {key: MachineCode(**table["kernels"][key]) for key in common}


def test_what_is_wrong_is_named() -> None:
    subject = next(attention.subjects("sm_80", "bf16", 64))
    bad = MachineCode(255, 16, 200 << 10, 0.1, 0, 1, 1, 1, 0, 2)
    spills, shared, matrix, atomic = inspection.complaints(subject, bad)
    assert "16 bytes of spilled" in spills and "204800 bytes of shared" in shared and "no matrix" in matrix
    assert "2 atomic instructions" in atomic
    exact = next(attention.subjects("sm_80", "fp32", 64))
    assert len(inspection.complaints(exact, bad)) == 2  # fp32 may spill and has no matrix instructions


@triton.jit
def adds_atomically(x_ptr, y_ptr, BLOCK: tl.constexpr):
    tl.atomic_add(y_ptr + tl.program_id(0) % 2, tl.sum(tl.load(x_ptr + tl.arange(0, BLOCK)), 0))


@pytest.mark.parametrize("family", configs.FAMILIES)
def test_an_atomic_addition_is_seen(family: str) -> None:
    """Determinism is promised: no kernel of the table has one, and one that has is named."""
    x = empty(64)
    launch = Launch(adds_atomically, (4,), (x, x), {"BLOCK": 64}, Config(1))
    code = compile_for(launch, family)
    assert code.atomic >= 1
    assert "atomic" in inspection.complaints(Subject(family, "bf16", launch), code)[0]


SASS = """
        /*0000*/                   LDC R1, c[0x0][0x28] ;
.L_x_1:
        /*0010*/                   MOV R2, R3 ;
.L_x_0:
        /*0020*/                   HMMA.16816.F32.BF16 R4, R8, R12, R4 ;
        /*0030*/                   MUFU.EX2 R5, R6 ;
        /*0040*/                   LDG.E.128 R8, desc[UR4][R2.64] ;
        /*0050*/                   FADD R5, R5, R6 ;
        /*0060*/              @!P0 BRA `(.L_x_0) ;
        /*0070*/               @P1 BRA `(.L_x_1) ;
        /*0080*/                   EXIT ;
"""
GCN = """
	s_load_dword s0, s[4:5], 0x0   // a comment
.LBB0_2:                                ; =>This Inner Loop Header
	v_mfma_f32_16x16x16_bf16 v[0:3], v[4:5], v[6:7], v[0:3]
	v_exp_f32_e32 v1, v2
	global_load_dwordx4 v[0:3], v[4:5], off
	v_add_f32_e32 v1, v2, v3
	s_cbranch_scc1 .LBB0_2
	s_endpgm
"""


@pytest.mark.parametrize(("family", "text"), [("sm_80", SASS), ("gfx942", GCN)])
def test_the_main_loop_is_read(family: str, text: str) -> None:
    loop = main_loop(read(text), CHIPS[family].matrix)
    assert len(loop) == 5
    assert count(loop, CHIPS[family].matrix) == {"matrix": 1, "exp": 1, "memory": 1, "other": 2}


def test_a_recorded_launch_runs_nothing() -> None:
    with recording() as launches:
        subjects = list(norms.subjects("sm_90", "bf16", 768))
    assert launches == []  # the subjects recorded for themselves
    assert [subject.launch.kernel.__name__ for subject in subjects] == ["norm_forward", "norm_backward", "column_sums"]
    assert subjects[0].launch.config == Config(1, 0, 1, 1)


def test_the_table_of_configurations() -> None:
    lines = configs.table()
    assert {line.family for line in lines} == {*configs.FAMILIES, "interpreter"}
    with pytest.raises(ValueError, match="here, line 2: expected family op kernel .* waves, got 'sm_90 attention"):
        parse_table("family op\nsm_90 attention forward half 64 0 128 64 four 3 1", "here")


def test_a_line_is_written_as_it_is_read() -> None:
    for made in load_ops().values():
        if made.spec.lines:
            header, *lines = made.spec.lines.strip().splitlines()
            assert header == HEADER
            assert lines == [show_line(line) for line in parse_table(made.spec.lines, made.name)]
            assert all(line.split()[1] == made.name for line in lines)


def test_a_search_takes_the_fastest_and_leaves_the_table_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search itself, with a compiler that refuses one candidate and a clock that favours another."""
    seen: list[Config] = []

    def pretend(function: object, inputs: dict[str, torch.Tensor], upstream: object) -> None:
        config = configs.find(inputs["q"], "attention", "forward", 64, 1024)
        if config.rows == 128:
            raise RuntimeError("out of shared memory")
        seen.append(config)

    def clock(runs: dict[str, Callable[[], None]], rounds: int, device: str) -> dict[str, dict[str, float]]:
        times = {}
        for name, run in runs.items():
            run()
            times[name] = {"median": float(seen[-1].columns)}
        return times

    before = list(configs.table())
    monkeypatch.setattr(tune_kernels, "forward_and_backward", pretend)
    monkeypatch.setattr(tune_kernels, "like_outputs", lambda *_: [])
    monkeypatch.setattr(tune_kernels, "interleaved", clock)
    tuning = dataclasses.replace(benchmark.TUNING[0], work=lambda size: benchmark.work(1, 1, 16, size))
    assert tuning.kernel == "forward" and len(list(tuning.candidates())) > 50
    tried = [Config(64, 64), Config(128, 32), Config(64, 32)]
    best = tune_kernels.search("attention", tuning, 64, "cpu", 5, tried)
    assert best.config == Config(64, 32)
    assert configs.table() == before


def test_configurations_of_ones_own_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.txt"
    file.write_text(HEADER + "\nsm_90 attention forward half 64 512 64 32 2 5 1\n")
    monkeypatch.setenv("GPT_KERNEL_CONFIGS", str(file))
    q = empty(1, 1, 1024, 64).bfloat16()
    try:
        for cached in (configs.table, configs._find):
            cached.cache_clear()
        with configs.pretending("sm_90"):
            assert configs.find(q, "attention", "forward", 64, 512) == Config(64, 32, 2, 5)
            assert configs.find(q, "attention", "forward", 64, 511) == Config(64, 64, 4, 3)
    finally:
        for cached in (configs.table, configs._find):
            cached.cache_clear()


@pytest.mark.parametrize(
    ("dtype", "head_size", "tiles"), [("bf16", 40, (64, 0)), ("fp16", 80, (128, 0)), ("fp32", 40, (32, 16))]
)
def test_no_narrow_tiles_on_hopper(dtype: str, head_size: int, tiles: tuple[int, int]) -> None:
    """As 32 + 16 columns heads of 40 were read beyond their shared memory (triton#11366), seen on an H200."""
    for family, expected in (("sm_90", tiles), ("sm_80", passes.tiles(head_size))):
        for subject in attention.subjects(family, dtype, head_size):
            assert (subject.launch.constants["LEAD"], subject.launch.constants["REST"]) == expected


@pytest.mark.parametrize("family", ["sm_90", "gfx942"])
def test_decoding_any_length_compiles_at_most_three_kernels(family: str) -> None:
    """A cache that grows through 1,024 tokens and one of fixed capacity, at any batch size, prompts of few tokens, ragged."""
    with configs.pretending(family):
        for lengths in (None, empty(300, dtype=torch.int64)):
            with recording() as launches:
                for b in (1, 2, 16, 64, 300):
                    steps = [(1, tk, -(-tk // 128) * 128) for tk in range(1, 1025, 1 if b == 1 else 97)]
                    for tq, tk, room in (*steps, (1, 1024, 1024), (3, 700, 1024), (16, 16, 128)):
                        q = empty(b, tq, 12, 64, dtype=torch.bfloat16).transpose(1, 2)
                        k = empty(b, 4, room, 64, dtype=torch.bfloat16)[:, :, :tk]
                        row_lengths = None if lengths is None else lengths[:b]
                        passes.forward(q, k, k, row_lengths, None, None, None, True, 0.125)
            sources = [(source_of(launch), launch.config) for launch in launches]
            compiled = {f"{x.name} {x.signature} {x.constants} {x.attrs} {config}" for x, config in sources}
            assert {launch.kernel.__name__ for launch in launches} == {"attention_decode", "combine_splits"}
            assert len(launches) > 1024 and len(compiled) == 3
