"""Kinds of records, one file each: a dataclass that the trainer writes and every reader reads back.

The `Metric` beside a field is all that the terminal, the loggers and the report know of the figure. May import
`training/metrics/`."""
