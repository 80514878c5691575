"""Benchmarks of learning: time to a loss, scaling, the bigram ladder and dictionaries.

May import `benchmarks/common/`, `benchmarks/cpu/`, `support/`, `tokenizer/`, `models/` and `training/`.
"""
