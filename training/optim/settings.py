"""The common settings of all optimizers, with their checks."""

from dataclasses import dataclass

from gpt_from_scratch.support.command_line.settings import OrNever, check_settings


@dataclass(frozen=True)
class OptimizerSettings:
    """Common settings of all optimizers."""

    name: str = "adamw"
    """The optimizer: the name of a file in `training/optim/algorithms`."""
    lr: float = 6e-4
    """Peak learning rate, except where `embed_lr` or `muon_lr` applies."""
    embed_lr: float | None = None
    """Peak learning rate of embeddings and an untied head; default: lr. With Muon they need a much larger one."""
    muon_lr: float = 0.02
    """Peak learning rate of Muon, whose updates have a root mean square of about √(1/n_in)."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Decay rates of the first and second moments."""
    eps: float = 1e-8
    """AdamW's epsilon, which avoids division by zero."""
    weight_decay: float = 0.1
    """Decoupled weight decay of matrices, relative to the learning rate."""
    momentum: float = 0.95
    """Muon's momentum (Nesterov)."""
    grad_clip: OrNever = 1.0
    """Gradient clipping: maximum norm of the whole gradient. 0 or inf: no clipping."""

    ema_decay: float = 0.0
    """Decay of a moving average of the weights, which every checkpoint then has beside them (`gpt generate RUN --ema`): 0.999
    averages over about a thousand steps. 0: none."""

    def __post_init__(self) -> None:
        check_settings(self, "optimizer.")
        for name in ("lr", "muon_lr", "eps"):
            if not getattr(self, name) > 0:
                raise ValueError(f"optimizer.{name} must be above 0, it is {getattr(self, name)}")
        if self.embed_lr is not None and not self.embed_lr > 0:
            raise ValueError(f"optimizer.embed_lr must be above 0, it is {self.embed_lr}")
        for name in ("weight_decay", "grad_clip"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"optimizer.{name} must be 0 or more, it is {getattr(self, name)}")
        for name, value in (
            ("betas", self.betas[0]),
            ("betas", self.betas[1]),
            ("momentum", self.momentum),
            ("ema_decay", self.ema_decay),
        ):
            if not 0 <= value < 1:
                raise ValueError(f"optimizer.{name} must lie in [0, 1), it is {getattr(self, name)}")
