"""An OpenAI-compatible server for one checkpoint, with a page to try it.

Tokens come from the generation engine in `models/`. May import `evals/scoring/`, `tokenizer/`, `models/` and `support/`.
"""
