"""A trained model as the evals know it: what the one door to it gives, `models.checkpoints.opening`."""

from gpt_from_scratch.models.checkpoints.opening import OpenedModel as Checkpoint
from gpt_from_scratch.models.checkpoints.opening import open_model as load_checkpoint

__all__ = ["Checkpoint", "load_checkpoint"]
