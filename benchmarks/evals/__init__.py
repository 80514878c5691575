"""Benchmarks of the evals: questions a second, and the coverage of confidence intervals.

May import `benchmarks/common/` and `evals/`.
"""
