"""Benchmarks: kernels, training, the tokenizer and the evals, each beside its rivals in one run.

May import `support/`, `kernels/`, `tokenizer/`, `models/`, `evals/` and `training/`.
"""
