"""Tokenizers: byte pair encoding from scratch, characters, and the views that show what a tokenizer does."""
