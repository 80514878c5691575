"""Benchmarks of the tokenizer: their texts, adversarial inputs and tables.

May import `benchmarks/common/`, `support/` and `tokenizer/`.
"""
