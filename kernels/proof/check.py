"""The verdict on a backend: the generated parity cases, a line a group of them, for kernels that come from outside.

`python -m gpt_from_scratch.kernels check` prints it. A kernel from the hub has to pass before it is registered, and one of a
user's module before `--backend fastest` times it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from gpt_from_scratch.kernels.cases import Case
from gpt_from_scratch.kernels.proof.nan_guards import surrounded
from gpt_from_scratch.kernels.proof.parity import Difference, chosen, differences
from gpt_from_scratch.kernels.registry import Op


@dataclass
class Group:
    """Parity cases of one kind in one dtype, and how a backend does on them.

    Attributes:
        compared: cases on which it ran.
        refused: why its `limits` refuse others, if any.
        worst: the output or gradient that comes nearest to what is allowed, or passes it furthest, and its case.
        wrong: what is wrong on the first case that is, and how many are.
    """

    op: str
    backend: str
    dtype: torch.dtype
    kind: str
    compared: int = 0
    refused: str | None = None
    worst: tuple[str, Difference] | None = None
    wrong: str | None = None
    n_wrong: int = 0

    def __str__(self) -> str:
        head = f"{self.op} {self.backend} {str(self.dtype).removeprefix('torch.')} {self.kind}:"
        if self.wrong is not None:
            return f"{head} WRONG in {self.n_wrong} of {self.compared} cases; {self.wrong}"
        if self.worst is None:
            return f"{head} not compared: {self.refused or 'nothing to compare'}"
        case, found = self.worst
        more = f"; some refused: {self.refused}" if self.refused else ""
        return (
            f"{head} {self.compared} cases right; worst error {found.error:.3g}, "
            f"allowed {found.allowed:.3g} ({found.name} of {case}){more}"
        )


def check_backend(
    made: Op[Any], backend: str, device: str, *, dtype: torch.dtype | None = None, large: bool = True
) -> Iterator[Group]:
    """Compare a backend on all its parity cases, a group at a time.

    Inputs lie between NaN, so that what is read out of bounds shows. Whatever a kernel raises is a wrong result.

    Args:
        dtype: one dtype only. `large` False leaves the large cases out.
    """
    for group, cases in _groups(made, backend, dtype, large).items():
        verdict = Group(made.name, backend, group[1], group[0])
        for case in cases:
            _compare(verdict, made, case, device)
        yield verdict


def fault(made: Op[Any], backend: str, device: str, dtype: torch.dtype) -> str | None:
    """What is wrong with a backend in this dtype by the parity cases that are not large, or None."""
    for verdict in check_backend(made, backend, device, dtype=dtype, large=False):
        if verdict.wrong is not None:
            return verdict.wrong
    return None


def _groups(
    made: Op[Any], backend: str, dtype: torch.dtype | None, large: bool
) -> dict[tuple[str, torch.dtype], list[Case]]:
    declared = {case.name for case in made.declared_cases()}
    groups: dict[tuple[str, torch.dtype], list[Case]] = {}
    for case, its_dtype in chosen(made, backend):
        if (dtype is None or its_dtype == dtype) and (large or not case.large):
            kind = case.name.partition("-")[0] if case.name in declared else "layouts"
            groups.setdefault((kind, its_dtype), []).append(case)
    return groups


def _compare(verdict: Group, made: Op[Any], case: Case, device: str) -> None:
    arguments = surrounded(case).make(torch.Generator().manual_seed(0), verdict.dtype)
    if (reason := made.why_not(verdict.backend, device, **arguments)) is not None:
        verdict.refused = verdict.refused or f"{case.name}: {reason}"
        return
    verdict.compared += 1
    try:
        found = differences(made, verdict.backend, surrounded(case), verdict.dtype, device)
    except Exception as error:  # a kernel of others may raise anything: whatever it is, its result is not right
        said = next(iter(str(error).splitlines()), "")
        _note(verdict, f"{case.name}: {type(error).__name__}: {said}")
        return
    for difference in found:
        nearest = None if verdict.worst is None else _part(verdict.worst[1])
        if nearest is None or not _part(difference) <= nearest:
            verdict.worst = (case.name, difference)
    if wrong := [str(difference) for difference in found if not difference.is_right]:
        _note(verdict, f"{case.name}: {'; '.join(wrong)}")


def _note(verdict: Group, wrong: str) -> None:
    verdict.wrong = verdict.wrong or wrong
    verdict.n_wrong += 1


def _part(difference: Difference) -> float:
    """Its error as a part of what is allowed."""
    if difference.allowed == 0:
        return 0.0 if difference.error == 0 else float("inf")
    return difference.error / difference.allowed
