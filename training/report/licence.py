"""The name of a model's licence, as a model card has it."""

import re

UNKNOWN = "unknown"
LICENCE = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
"""An identifier of the hub such as mit, apache-2.0 or cc-by-4.0."""
