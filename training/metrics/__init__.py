"""Metrics of a run: the records of metrics.jsonl, the history that all readers share, and the loggers.

Writers and readers use the same dataclasses. Only `support/` may be imported."""
