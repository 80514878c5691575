"""Benchmarks of the kernels on a GPU: the report, step times, roofline and the search for launch configurations.

May import `benchmarks/common/`, `support/`, `kernels/` and `models/`.
"""
