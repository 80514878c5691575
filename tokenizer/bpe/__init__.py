"""Byte pair encoding: learning the merges, and encoding and decoding with them.

`reference` is the definition in plain Python; the quick paths are proven equal to it. May import `tokenizer/*.py`,
`tokenizer/splitting/`, `tokenizer/numba_kernels/` and `support/`.
"""
