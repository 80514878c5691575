"""Results of evals: the record on disk, scores with intervals, comparisons and the report page.

Only `protocol/` and `support/` may be imported."""
