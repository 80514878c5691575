"""Metrics of a run: the records of metrics.jsonl, the history that all readers share, and the loggers.

May import `support/`."""
