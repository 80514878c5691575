"""Checkpoints: the full state of a run on disk, verified by SHA-256, written asynchronously, complete or absent.

May import `training/ranks/`, `models/`, `tokenizer/` and `support/`.
"""

from gpt_from_scratch.models.checkpoints.checkpoint import Checkpoint, DamagedCheckpointError
from gpt_from_scratch.training.checkpoints.space import bytes_of, preflight
from gpt_from_scratch.training.checkpoints.staging import NonFiniteError
from gpt_from_scratch.training.checkpoints.store import Best, CheckpointStore, UnsavedError

__all__ = [
    "Best",
    "Checkpoint",
    "CheckpointStore",
    "DamagedCheckpointError",
    "NonFiniteError",
    "UnsavedError",
    "bytes_of",
    "preflight",
]
