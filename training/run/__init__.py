"""A training run: its command line, session, trainer, console, presets and stop signals.

`session` builds a run in named steps, and `trainer` has the training loop. May import `training/`, `kernels/`,
`tokenizer/`, `models/` and `support/`.
"""
