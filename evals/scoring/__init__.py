"""Scoring of language models by the probability that they give to text.

It needs torch, and neither pydantic nor a network. May import `evals/protocol/`, `evals/results/`, `kernels/`,
`tokenizer/`, `models/` and `support/`.
"""
