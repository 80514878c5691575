"""The tokenizer's loops, compiled by numba: splitting, counting, learning merges, encoding.

What they compute is defined by `patterns.splitter` and `reference`, to which the tests hold them byte for byte. Get them
through `acceleration.kernels`, which gives numba's cache its folder. For whoever edits them:

- Every kernel has one explicit signature: a read-only or strided array would compile another version in mid-run.
- int64 with uint64 silently becomes float64: hashes and their shifts are np.uint64 throughout.
- A text is followed by `PADDING` bytes that may be read but are never part of a word.
"""
