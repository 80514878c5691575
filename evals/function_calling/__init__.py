"""Function calling: Python functions as tools for a model, with the same names for both vendors.

May import `evals/protocol/` and `evals/providers/`.
"""
