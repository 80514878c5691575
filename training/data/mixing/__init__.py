"""Mixtures: several sources in one run, each with a weight.

`weights` parses the user's weights, `order` determines the order of the samples, `data` has the samples and the corpus. May
import `training/data/*.py`, `evals/scoring/` and `support/`.
"""
