"""Providers of models: the vendors, servers that speak their protocol, and the offline ones.

May import `evals/protocol/`, `evals/scoring/`, `tokenizer/`, `models/` and `support/`.
"""
