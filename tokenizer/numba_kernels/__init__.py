"""The tokenizer's loops, compiled by numba: splitting, counting, learning merges, encoding.

`splitting.patterns` and `bpe.reference` define what they compute, and the tests hold them to it byte for byte. May
import `support/`.
"""
