"""Answers found in a model's free text: numbers, choices and statements, and the scorers that compare them.

A reader of answers is right, or says that it cannot tell. May import `evals/protocol/`.
"""
