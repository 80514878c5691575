"""Mixtures: several sources in one run, each with a weight.

`weights` reads what a person asks for, `order` decides which sample comes when, `data` has the samples and the corpus. May
import `training/data/*.py`, `evals/scoring/` and `support/`.
"""
