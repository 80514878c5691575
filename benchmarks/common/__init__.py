"""Tools that benchmarks share: timing in turns, worker processes, machine descriptions and results files.

May import `support/` and `kernels/proof/`.
"""
