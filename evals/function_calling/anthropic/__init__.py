"""Function calling for Anthropic's messages protocol.

May import `evals/function_calling/*.py`, `evals/protocol/` and `evals/providers/`.
"""
