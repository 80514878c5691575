"""Views of a tokenization: as data, in the terminal, and as a page.

May import `tokenizer/*.py`, `tokenizer/bpe/` and `support/`.
"""
