"""Byte pair encoding: learning the merges, and encoding and decoding with them.

`reference` is the definition in plain Python; the quick paths are proven equal to it.
It uses `splitting/` and `numba_kernels/`, and knows nothing of the formats of other libraries."""
