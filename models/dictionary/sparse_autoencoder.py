"""Sparse autoencoders: dictionaries with a linear encoder, learned from a network's activations.

    codes = sparse(relu((x - b_dec) W_encᵀ + b_enc)),    x ≈ codes W_dec + b_dec

W_dec's rows are the features' directions, of unit norm. Two ways to make few codes non-zero:

    topk    the k largest stay (Makhzani & Frey 2013; Gao et al., "Scaling and evaluating sparse autoencoders", 2024)
    l1      a penalty on their sum makes them small (Bricken et al., "Towards monosemanticity", 2023)

A dead feature, which has not fired for long, is moved to where the reconstruction is worst, as in K-SVD.

Shapes: n activations (tokens), d their width, m features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from gpt_from_scratch.models.settings import SparseAutoencoderConfig as SparseAutoencoderConfig

CHUNK_ROWS = 4096
"""Activations that `measure` encodes at a time."""


class SparseAutoencoder(nn.Module):
    """A sparse autoencoder with `encode` and `decode`; `sae(x)` is the reconstruction of x."""

    scale: Tensor

    def __init__(self, width: int, config: SparseAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = nn.Parameter(torch.zeros(config.n_features, width))
        self.encoder_bias = nn.Parameter(torch.zeros(config.n_features))
        self.decoder = nn.Parameter(torch.zeros(config.n_features, width))
        self.decoder_bias = nn.Parameter(torch.zeros(width))
        # What activations are multiplied by, so that the settings do not depend on their size.
        self.register_buffer("scale", torch.ones(()))

    def encode(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n m"]:
        """The codes, 0 or more, in units in which the activations' variance is 1."""
        codes = F.relu(F.linear(x * self.scale - self.decoder_bias, self.encoder, self.encoder_bias))
        if self.config.kind == "l1":
            return codes
        values, places = codes.topk(self.config.k, dim=-1)
        return torch.zeros_like(codes).scatter(-1, places, values)

    def decode(self, codes: Float[Tensor, "*n m"]) -> Float[Tensor, "*n d"]:
        """The reconstruction of the activations from codes."""
        return (codes @ self.decoder + self.decoder_bias) / self.scale

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """decode(encode(x))."""
        return self.decode(self.encode(x))


def learn_features(
    activations: Shaped[Tensor, "..."],
    config: SparseAutoencoderConfig,
    generator: torch.Generator | None = None,
    progress: Callable[[int], None] = lambda step: None,
) -> SparseAutoencoder:
    """Train an autoencoder; deterministic for a given generator (on the CPU) and thread count.

    `activations` are (n, d), float32 or float64 (an autoencoder is float32). `progress` is called after each step with how
    many there have been.

    Raises:
        ValueError: Activations of another shape or dtype; fewer than features, which begin as centred activations; some
            that are not finite; or all the same.
    """
    if activations.ndim != 2 or activations.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"activations must be float32 or float64, one a row: they are {activations.dtype} of shape "
            f"{tuple(activations.shape)}"
        )
    activations = activations.float()
    if len(activations) < config.n_features:
        raise ValueError(
            f"{config.n_features} features cannot be learned from {len(activations)} activations: give at least one "
            "a feature, or lower n_features"
        )
    if not activations.isfinite().all():
        bad = int((~activations.isfinite()).any(dim=1).sum())
        raise ValueError(
            f"NaN or infinity in {bad} of {len(activations)} activations: the model that made them diverged"
        )
    mean = activations.mean(dim=0)
    variance = (activations - mean).square().sum(dim=1).mean()
    if variance == 0:
        raise ValueError("the activations are all the same: there is nothing to learn from them")
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    sae = SparseAutoencoder(activations.shape[1], config).to(activations.device)
    start = torch.randperm(len(activations), generator=generator)[: config.n_features].to(activations.device)
    with torch.no_grad():
        sae.scale.copy_(variance.rsqrt())
        sae.decoder_bias.copy_(mean * sae.scale)
        sae.decoder.copy_(F.normalize((activations[start] - mean) * sae.scale, dim=1))
        sae.encoder.copy_(sae.decoder)
        # Overlapping features would tell the same thing several times over: begin at the scale that fits best.
        x = activations[start] * sae.scale - sae.decoder_bias
        told = sae.encode(activations[start]) @ sae.decoder
        sae.encoder.mul_((x * told).sum() / told.square().sum())
    optimizer = torch.optim.Adam(sae.parameters(), lr=config.lr, betas=(0.9, 0.99), fused=True)
    silent = torch.zeros(config.n_features, dtype=torch.int64, device=activations.device)  # steps since each fired
    decay = max(1, config.steps // 3)
    for step in range(config.steps):
        rows = torch.randint(len(activations), (config.batch_size,), generator=generator).to(activations.device)
        x = activations[rows]
        codes = sae.encode(x)
        residual = (x - sae.decode(codes)) * sae.scale
        loss = residual.square().sum(dim=1).mean()
        if config.kind == "l1":
            loss = loss + config.l1 * codes.sum(dim=1).mean()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = config.lr * min(1.0, (step + 1) / 50, (config.steps - step) / decay)
        _keep_tangent(sae)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            sae.decoder.copy_(F.normalize(sae.decoder, dim=1))
            silent = torch.where((codes > 0).any(dim=0), 0, silent + 1)
            if (step + 1) % config.dead_after == 0 and step + 1 < 0.85 * config.steps:
                replace_dead(sae, optimizer, silent >= config.dead_after, residual, generator)
                silent[silent >= config.dead_after] = 0
        progress(step + 1)
    return sae


def _keep_tangent(sae: SparseAutoencoder) -> None:
    """Take from the decoder's gradient what would only change the norms, which are set to 1 after the step (Bricken 2023)."""
    gradient = sae.decoder.grad
    assert gradient is not None
    along = (gradient * sae.decoder.detach()).sum(dim=1, keepdim=True)
    gradient.addcmul_(along, sae.decoder.detach(), value=-1)


@torch.no_grad()
def replace_dead(
    sae: SparseAutoencoder,
    optimizer: torch.optim.Optimizer,
    dead: Bool[Tensor, " m"],
    residual: Float[Tensor, "n d"],
    generator: torch.Generator,
) -> None:
    """Set dead features to residuals of activations, drawn in proportion to their energy.

    Their encoder rows get a fifth of the other rows' mean norm, and their Adam state is reset.
    """
    energy = residual.square().sum(dim=1)
    count = int(dead.sum())
    if count == 0 or energy.sum() == 0:
        return
    worst = torch.multinomial(energy.cpu(), count, replacement=count > len(energy), generator=generator).to(dead.device)
    directions = F.normalize(residual[worst], dim=1)
    norm = sae.encoder[~dead].norm(dim=1).mean() if count < len(dead) else sae.encoder.new_ones(())
    sae.decoder[dead] = directions
    sae.encoder[dead] = 0.2 * norm * directions
    sae.encoder_bias[dead] = 0
    for parameter in (sae.encoder, sae.encoder_bias, sae.decoder):
        for moment in ("exp_avg", "exp_avg_sq"):
            optimizer.state[parameter][moment][dead] = 0


@dataclass(frozen=True)
class Fidelity:
    """Quality and sparsity of a reconstruction."""

    variance_explained: float
    """1 - ||x - sae(x)||² / ||x - mean x||²"""
    l0: float
    """mean number of codes that are not 0"""
    dead: float
    """fraction of the features that no activation uses"""


@torch.inference_mode()
def measure(sae: SparseAutoencoder, activations: Float[Tensor, "n d"]) -> Fidelity:
    """Measure quality and sparsity over all activations. Raises ValueError if these do not vary."""
    mean = activations.mean(dim=0)
    total = float((activations - mean).square().sum())
    if total == 0:
        raise ValueError("the activations do not vary, so there is no variance to explain: give more than one")
    left, fired = 0.0, activations.new_zeros(sae.config.n_features)
    for part in activations.split(CHUNK_ROWS):
        codes = sae.encode(part)
        left += float((part - sae.decode(codes)).square().sum())
        fired += (codes > 0).sum(dim=0)
    return Fidelity(1 - left / total, float(fired.sum()) / len(activations), float((fired == 0).float().mean()))
