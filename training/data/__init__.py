"""The data of a run: its sources, their tokens in samples, and the validation set.

`registry` finds the sources, `building` makes a `Corpus` of one. May import `training/ranks/`, `evals/scoring/`, `models/`,
`tokenizer/` and `support/`.
"""
