"""Decays of the learning rate, one file each: the rate's course from its peak to its end.

A file's name is what `--schedule.decay` takes. May import `training/optim/decay.py`."""
