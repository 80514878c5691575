"""A training run: its settings' command line, session, trainer, console, presets and stop signals.

`session` builds a run in named steps and `trainer` repeats the training step.
It may import every other folder of `training/` but the scripts."""
