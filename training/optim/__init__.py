"""Optimizers and the learning-rate schedule; an optimizer is a file of `algorithms/`, a decay of the
rate one of `decays/`.

May import `training/ranks/`, `training/checkpoints/parts.py`, `models/` and `support/`."""
