"""An OpenAI-compatible server for one checkpoint, with a page to try it.

It speaks HTTP only: tokens come from the generation engine in `models/`. May import `evals/scoring/`, `tokenizer/`,
`models/` and `support/`.
"""
