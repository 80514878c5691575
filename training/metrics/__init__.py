"""Metrics of a run: the records of metrics.jsonl, the history built from them, and the loggers.

May import `support/`."""
