"""Eval runs: each question is asked, retried, scored and recorded once; `run_samples` is the entry point.

May import `evals/protocol/`, `evals/results/`, `evals/answers/`, `evals/providers/` and `support/`.
"""
