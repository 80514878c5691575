"""Formats of other programs: tiktoken's ranks, Hugging Face's tokenizer.json, GPT-2's vocab.json and merges.txt.

May import `tokenizer/*.py`, `tokenizer/bpe/`, `tokenizer/splitting/` and `support/`.
"""
