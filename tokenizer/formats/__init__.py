"""Formats of tokenizers, one per file of `known/`, and the opening of a tokenizer in any of them.

May import `tokenizer/*.py`, `tokenizer/bpe/`, `tokenizer/chat/`, `tokenizer/splitting/` and `support/`.
"""
