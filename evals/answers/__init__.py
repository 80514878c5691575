"""Answers found in a model's free text: numbers, choices and statements, and the scorers that compare them.

A parser returns None where the answer is ambiguous. May import `evals/protocol/`.
"""
