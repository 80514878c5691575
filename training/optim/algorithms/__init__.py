"""Optimizers, one file each: the update, the parameters that it takes, and its state.

A file's name is a value of `--optimizer.name`. May import `training/optim/`, `training/ranks/`, `models/gpt.py` and
`models/layers/`."""
