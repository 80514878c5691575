"""Byte pair encoding: learning of merges, encoding and decoding. `reference` is the definition in plain Python; tests show
that the fast paths are equal to it. May import `tokenizer/*.py`, `tokenizer/splitting/`, `tokenizer/numba_kernels/` and
`support/`.
"""
