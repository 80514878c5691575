"""Optimizers and the learning-rate schedule; each optimizer is a file of `algorithms/`.

May import `training/ranks/`, `training/checkpoints/parts.py`, `models/gpt.py` and `support/`."""
