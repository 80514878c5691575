"""Scoring of language models by the probabilities of texts. It needs torch, but neither pydantic nor a network. May import
`evals/protocol/`, `evals/results/`, `kernels/`, `tokenizer/`, `models/` and `support/`.
"""
