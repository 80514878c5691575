"""The parity check of a backend: runs the generated cases, with one line of output per group.

`gpt kernels check` prints it. A kernel from the hub must pass before it is registered, and a user's kernel before
`--backend fastest` times it.
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
    """Results of a backend on the parity cases of one kind and dtype.

    Attributes:
        compared: number of cases that ran. refused: the reason why its `limits` refuse others, if any.
        worst: the output or gradient with the largest error relative to the allowed one, and its case.
        wrong: the error on the first wrong case, and the number of wrong cases.
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
            return f"{head} not tested: {self.refused or 'no cases'}"
        case, found = self.worst
        more = f"; some refused: {self.refused}" if self.refused else ""
        return (
            f"{head} {self.compared} cases right; worst error {found.error:.3g}, "
            f"allowed {found.allowed:.3g} ({found.name} of {case}){more}"
        )


def check_backend(
    made: Op[Any], backend: str, device: str, *, dtype: torch.dtype | None = None, large: bool = True
) -> Iterator[Group]:
    """Test a backend on all its parity cases, group by group.

    Inputs are surrounded by NaN, so that out-of-bounds reads are detected. Any exception is a wrong result.

    Args:
        dtype: one dtype only. `large` False leaves the large cases out.
    """
    for group, cases in _groups(made, backend, dtype, large).items():
        verdict = Group(made.name, backend, group[1], group[0])
        for case in cases:
            _compare(verdict, made, case, device)
        yield verdict


def fault(made: Op[Any], backend: str, device: str, dtype: torch.dtype) -> str | None:
    """The first defect that the small parity cases find in this dtype, or None."""
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
    except Exception as error:  # an external kernel may raise anything; then its result is wrong
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
    """The error as a fraction of the allowed one."""
    if difference.allowed == 0:
        return 0.0 if difference.error == 0 else float("inf")
    return difference.error / difference.allowed
