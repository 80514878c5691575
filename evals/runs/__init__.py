"""Eval runs: each question is asked, retried, scored and recorded once.

`run_samples` is the entry. It uses `protocol/`, `results/`, `answers/` and `providers/`."""
