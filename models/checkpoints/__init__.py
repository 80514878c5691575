"""Checkpoints on disk: their files, their verification by SHA-256, and the function that opens a trained model.

May import `models/*.py`, `models/interchange/`, `tokenizer/` and `support/`.
"""
