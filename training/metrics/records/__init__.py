"""Kinds of records, one file each: the lines of metrics.jsonl.

A record is a dataclass; the trainer writes it, and every reader reads it back as the same class. The `Metric` beside a field
is all that the terminal, the loggers and the report know of it, so a new figure is a new field, or a new file here."""
