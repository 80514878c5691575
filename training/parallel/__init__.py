"""Strategies of training on several ranks, one per file: how they share parameters and gradients.

May import `training/config.py`, `training/ranks/`, `training/checkpoints/`, `training/optim/`, `kernels/`,
`models/` and `support/`.
"""
