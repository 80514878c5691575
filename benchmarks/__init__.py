"""Benchmarks: kernels, training, the tokenizer and the evals, each next to other implementations in the same run.

May import `support/`, `kernels/`, `tokenizer/`, `models/`, `evals/` and `training/`.
"""
