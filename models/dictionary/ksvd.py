"""Dictionary learning from scratch: batch orthogonal matching pursuit, and K-SVD on top of it.

A dictionary explains each signal as a sum of a few of its atoms: ``signals ≈ codes @ atoms`` with at most ``n_nonzero``
entries in a row of ``codes``. Two steps alternate: with the atoms fixed, find sparse codes (matching pursuit); with the
places of the non-zeros fixed, improve each atom and its coefficients together (K-SVD).

Sources: Aharon, Elad & Bruckstein, "K-SVD" (2006); Rubinstein, Zibulevsky & Elad, "Efficient implementation of the
K-SVD algorithm using batch orthogonal matching pursuit" (2008). Atoms are rows here, as in scikit-learn.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from gpt_from_scratch.models.settings import KSVDConfig as KSVDConfig

# Floats that one chunk of the pursuit may hold: 256 MiB in fp32, whatever the number of signals.
CHUNK_FLOATS = 2**26


@dataclass(frozen=True)
class LearnedDictionary:
    """Unit-norm atoms with their reconstruction errors, as fractions of the signals' energy."""

    atoms: Float[Tensor, "k d"]
    error: float
    """||signals - codes @ atoms||² / ||signals||² with codes from `sparse_encode`"""
    history: tuple[float, ...]
    """the winning restart's error before each iteration, and after the last"""
    restart_errors: tuple[float, ...]
    """the best error of each restart"""


def sparse_encode(
    signals: Shaped[Tensor, "..."], atoms: Shaped[Tensor, "..."], n_nonzero: int, tolerance: float = 0.0
) -> Float[Tensor, "n k"]:
    """Sparse codes by orthogonal matching pursuit: for each signal, the atom that correlates most with what is left is
    added, and all coefficients are fitted again by least squares, `n_nonzero` times or until ``||residual|| <= tolerance``.

    No atom is taken twice, nor one that lies in the span of those taken. All sums are made in double precision, whatever the
    input's, so that atoms 0.001 rad apart are two atoms, and a tolerance of 1e-6 of a signal's norm is kept.

    Args:
        signals: (n, d), float32 or float64.
        atoms: (k, d), rows of unit norm, of the same dtype and on the same device.
        n_nonzero: From 1 to k.
        tolerance: A norm, 0 or more.

    Raises:
        ValueError: Atoms that are not of unit norm (correlations would not be comparable), input that is not finite or of
            another shape or dtype, an n_nonzero or a tolerance out of range; says which and what to do.
    """
    _check(signals, "signals")
    _check(atoms, "atoms")
    if signals.shape[1] != atoms.shape[1] or signals.dtype != atoms.dtype or signals.device != atoms.device:
        raise ValueError(
            f"signals and atoms must have one width, dtype and device: they have {signals.shape[1]}, {signals.dtype}, "
            f"{signals.device} and {atoms.shape[1]}, {atoms.dtype}, {atoms.device}"
        )
    if not 1 <= n_nonzero <= len(atoms):
        raise ValueError(f"n_nonzero is {n_nonzero}: with {len(atoms)} atoms it is from 1 to {len(atoms)}")
    if not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance}: it is the norm at which a residual counts as explained, 0 or more")
    norms = atoms.norm(dim=1)
    if (norms - 1).abs().max() > 1e-3:
        raise ValueError(
            f"atoms must have unit norm, but their norms are from {norms.min():.3g} to {norms.max():.3g}: "
            "pass torch.nn.functional.normalize(atoms, dim=1)"
        )
    exact = signals.double()
    # Each signal is coded at a norm near 1, since squares of very large or small numbers are not finite or 0.
    scale = exact.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    codes = _encode(exact / scale, atoms.double(), n_nonzero, tolerance / scale[:, 0])
    return (codes * scale).to(signals.dtype)


def _encode(
    signals: Float[Tensor, "n d"],
    atoms: Float[Tensor, "k d"],
    n_nonzero: int,
    tolerance: Float[Tensor, " n"] | None = None,
) -> Float[Tensor, "n k"]:
    """`sparse_encode` in the signals' own precision and without its checks, in chunks of signals that bound the memory."""
    gram = atoms @ atoms.T
    rows = max(1, CHUNK_FLOATS // (len(atoms) * (n_nonzero + 3)))
    limits = signals.new_zeros(len(signals)) if tolerance is None else tolerance
    parts = zip(signals.split(rows), limits.split(rows), strict=True)
    return torch.cat([_batch_omp(part, atoms, gram, n_nonzero, limit) for part, limit in parts])


def _batch_omp(
    signals: Float[Tensor, "n d"],
    atoms: Float[Tensor, "k d"],
    gram: Float[Tensor, "k k"],
    n_nonzero: int,
    tolerance: Float[Tensor, " n"],
) -> Float[Tensor, "n k"]:
    """Batch-OMP: after one product with the atoms, all steps happen among the (n, k) correlations and the Gram matrix.

    Taking atom j adds to each signal's basis the unit vector q, the part of j orthogonal to the atoms taken before.
    Kept for each signal is q's correlation with every atom, a column of the Gram matrix's pivoted Cholesky factor:
        column = (gram[j] - Σ_i column_i[j] column_i) / sqrt(left[j]),    left = diag(gram) - Σ_i column_i²
    where left[a] is the squared distance of atom a from the span so far: 0 for the atoms taken.
    """
    correlation = signals @ atoms.T
    energy = signals.square().sum(dim=1)
    left = gram.diagonal().expand_as(correlation)
    # Below this an atom cannot be told from the span of those taken, in this precision.
    in_span = torch.finfo(signals.dtype).eps ** 0.5
    columns: list[Float[Tensor, "n k"]] = []
    picks: list[Tensor] = []
    weights: list[Tensor] = []
    active: list[Tensor] = []
    for _ in range(n_nonzero):
        pick = (correlation.abs() * (left >= in_span)).max(dim=1, keepdim=True).indices
        distance = left.gather(1, pick)
        go_on = (distance >= in_span) & (energy > tolerance.square())[:, None]
        scale = torch.where(go_on, distance, 1).rsqrt() * go_on
        column = gram.index_select(0, pick[:, 0])
        for earlier in columns:
            column = torch.addcmul(column, earlier, earlier.gather(1, pick), value=-1)
        column = column * scale
        weight = correlation.gather(1, pick) * scale
        correlation = torch.addcmul(correlation, weight, column, value=-1)
        left = torch.addcmul(left, column, column, value=-1)
        energy = energy - weight[:, 0].square()
        columns.append(column)
        picks.append(pick)
        weights.append(weight)
        active.append(go_on)
    chosen = torch.cat(picks, dim=1)
    # signal ≈ Σ_t weight_t q_t and atom_t = Σ_i factor[t, i] q_i, so the atoms' coefficients solve factorᵀ x = weight.
    factor = torch.stack([column.gather(1, chosen) for column in columns], dim=2)
    factor = factor + torch.diag_embed((~torch.cat(active, dim=1)).to(factor.dtype))
    values = torch.linalg.solve_triangular(factor.mT, torch.cat(weights, dim=1)[:, :, None], upper=True)[:, :, 0]
    # add, not assign: a step that found no atom has the value 0 at an index that may be another step's.
    return torch.zeros_like(correlation).scatter_add_(1, chosen, values)


def learn_dictionary(
    signals: Shaped[Tensor, "..."], config: KSVDConfig, generator: torch.Generator | None = None
) -> LearnedDictionary:
    """Learn `config.n_atoms` atoms by K-SVD; deterministic for a given generator (on the CPU) and thread count.

    `signals` are (n, d), float32 or float64. The best of all restarts and iterations by reconstruction error is returned.

    Raises:
        ValueError: Signals of another shape or dtype, or not finite; fewer that are not zero than atoms (which start as
            signals).
    """
    _check(signals, "signals")
    # Atoms have no scale, so the signals' own does not matter; without it squares would overflow for large signals.
    signals = signals / signals.abs().max().clamp_min(torch.finfo(signals.dtype).tiny)
    signals = signals[signals.norm(dim=1) > 0]
    if len(signals) < config.n_atoms:
        raise ValueError(
            f"{config.n_atoms} atoms cannot be learned from {len(signals)} signals that are not zero: "
            "give at least one signal an atom, or lower n_atoms"
        )
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    runs = [_ksvd(signals, config, generator) for _ in range(config.restarts)]
    atoms, history = min(runs, key=lambda run: min(run[1]))
    return LearnedDictionary(atoms, min(history), tuple(history), tuple(min(errors) for _, errors in runs))


def _ksvd(
    signals: Float[Tensor, "n d"], config: KSVDConfig, generator: torch.Generator
) -> tuple[Float[Tensor, "k d"], list[float]]:
    """One restart: the best atoms seen, and the error before each iteration and after the last."""
    start = torch.randperm(len(signals), generator=generator)[: config.n_atoms]
    atoms = F.normalize(signals[start.to(signals.device)], dim=1)
    total = signals.square().sum()
    best, errors = atoms, list[float]()
    n_split = min(max(1, int(config.split_fraction * config.n_atoms)), config.n_atoms // 2) if config.split_every else 0
    for iteration in range(config.iterations + 1):
        codes = _encode(signals, atoms, config.n_nonzero)
        residual = signals - codes @ atoms
        errors.append(float(residual.square().sum() / total))
        if errors[-1] <= min(errors):
            best = atoms.clone()
        if iteration == config.iterations or errors[-1] == 0:
            break
        bad = _dead_or_duplicate(atoms, codes, config)
        if bad.any():
            worst = residual.square().sum(dim=1).topk(int(bad.sum())).indices
            atoms[bad] = F.normalize(signals[worst], dim=1)
        # A split needs the iterations after it to pay; the dictionary before it is kept in `best`.
        split = n_split > 0 and iteration > 0 and iteration % config.split_every == 0
        if split and iteration <= config.iterations - config.split_every:
            _split_overloaded(atoms, codes, residual, n_split)
        if bad.any() or split:
            codes = _encode(signals, atoms, config.n_nonzero)
            residual = signals - codes @ atoms
        _update_atoms(atoms, codes, residual, torch.randperm(config.n_atoms, generator=generator).tolist())
    return best, errors


def _dead_or_duplicate(atoms: Float[Tensor, "k d"], codes: Float[Tensor, "n k"], config: KSVDConfig) -> Tensor:
    """Mask (k) of the atoms to replace: those that hardly any signal uses, and the later one of a similar pair."""
    fair_share = len(codes) * config.n_nonzero / config.n_atoms
    dead = (codes != 0).sum(dim=0) < max(1.0, config.dead_below * fair_share)
    alike = (atoms @ atoms.T).abs().triu(diagonal=1) > config.duplicate_above
    return dead | alike.any(dim=0)


def _split_overloaded(
    atoms: Float[Tensor, "k d"], codes: Float[Tensor, "n k"], residual: Float[Tensor, "n d"], count: int
) -> None:
    """Leave the usual local minimum, in place: one atom d stands between two true ones, d cos θ ± v sin θ, and another,
    hardly used, stands for none.

    The users of such an atom leave a residual along v, of tan² θ times the energy they have along d. So the `count` atoms
    with the most residual energy in one direction v become d ± v tan θ; the weakest atoms make place for the second halves.
    """
    used = codes != 0
    directions = torch.stack([_leading_direction(residual[used[:, k]]) for k in range(len(atoms))])
    leftover = ((residual @ directions.T).square() * used).sum(dim=0)
    energy = codes.square().sum(dim=0)
    overloaded = leftover.topk(count).indices
    weakest = energy.scatter(0, overloaded, torch.inf).topk(count, largest=False).indices
    tangent = (leftover / energy.clamp_min(torch.finfo(energy.dtype).tiny)).sqrt()[overloaded, None]
    first, second = (atoms[overloaded] + sign * tangent * directions[overloaded] for sign in (1, -1))
    atoms[overloaded], atoms[weakest] = F.normalize(first, dim=1), F.normalize(second, dim=1)


def _leading_direction(rows: Float[Tensor, "n d"], steps: int = 10) -> Float[Tensor, " d"]:
    """Approximate leading right singular vector, by power iteration from the largest row; 0 for a zero matrix.

    Decompositions fail to converge on residuals that are almost 0.
    """
    if len(rows) == 0:
        return rows.new_zeros(rows.shape[1])
    direction = F.normalize(rows[rows.square().sum(dim=1).argmax()], dim=0)
    for _ in range(steps):
        direction = F.normalize((rows @ direction) @ rows, dim=0)
    return direction


def _update_atoms(
    atoms: Float[Tensor, "k d"], codes: Float[Tensor, "n k"], residual: Float[Tensor, "n d"], order: list[int]
) -> None:
    """Improve every atom in place, one after the other, with its coefficients; `residual` is kept in step.

    The best atom for its users is the leading singular vector of what they leave without it. One power step from the
    present atom stands in for the decomposition (approximate K-SVD, Rubinstein et al., section 4): it lowers the error
    as surely, and the iterations around it do the rest.
    """
    for k in order:
        users = codes[:, k].nonzero()[:, 0]
        if len(users) == 0:
            continue
        coefficients = codes[users, k]
        target = torch.addr(residual[users], coefficients, atoms[k])
        atom = F.normalize(coefficients @ target, dim=0)
        coefficients = target @ atom
        atoms[k] = atom
        codes[users, k] = coefficients
        residual[users] = torch.addr(target, coefficients, atom, alpha=-1)


def _check(values: Shaped[Tensor, "..."], name: str) -> None:
    """Check that `values` are a matrix of finite floats with at least one row. Raises ValueError."""
    if values.ndim != 2:
        raise ValueError(
            f"{name} must be a matrix with one of them a row, they have shape {tuple(values.shape)}: a single one is x[None]"
        )
    if values.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{name} are {values.dtype}: give float32 or float64, for instance x.float()")
    if values.numel() == 0:
        raise ValueError(f"{name} are empty (shape {tuple(values.shape)}): give at least one row")
    if not values.isfinite().all():
        bad = int((~values.isfinite()).any(dim=1).sum())
        raise ValueError(f"{name} hold NaN or infinity in {bad} of {len(values)} rows: remove or repair those rows")
