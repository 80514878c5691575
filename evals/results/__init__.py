"""Results of evals: the record on disk, scores with intervals, comparisons and the report page.

May import `evals/protocol/` and `support/`.
"""
