"""Checkpoints on disk: their files, their proof by SHA-256, and the one function that opens a trained model.

May import `models/*.py`, `models/interchange/`, `tokenizer/` and `support/`.
"""
