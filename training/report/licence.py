"""The identifier of a model's licence in a model card."""

import re

UNKNOWN = "unknown"
LICENCE = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
"""Pattern of the hub's licence identifiers, such as mit, apache-2.0 or cc-by-4.0."""
