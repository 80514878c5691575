"""Optimizers, one file each: how parameters are updated, which ones are taken, and what is remembered of each.

A file's name is what `--optimizer.name` takes. May import `training/optim/`, `training/ranks/`, `models/gpt.py` and
`models/layers/`."""
