"""The formats of tokenizers, one file each: how it is recognised, read and written, and what it is called.

May import `tokenizer/*.py`, `tokenizer/formats/`, `tokenizer/bpe/` and `tokenizer/splitting/`."""
