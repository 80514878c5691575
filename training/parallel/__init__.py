"""Strategies of training on several ranks, one a file: each says how gradients are shared.

May import `training/config.py`, `training/ranks/`, `training/checkpoints/`, `training/optim/`, `kernels/`,
`models/` and `support/`.
"""
