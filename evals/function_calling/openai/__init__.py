"""Function calling for OpenAI's chat completions protocol.

May import `evals/function_calling/*.py`, `evals/protocol/` and `evals/providers/`.
"""
