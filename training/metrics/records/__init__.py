"""The kinds of records, one file each: a dataclass that the trainer writes and every reader parses.

The terminal, the loggers and the report are made from the `Metric` of each field. May import `training/metrics/`."""
