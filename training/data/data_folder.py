"""The folder of downloaded and prepared data."""

import os
from pathlib import Path


def data_folder() -> Path:
    """It is $GPT_DATA_DIR, or data/ in the working folder."""
    return Path(os.environ.get("GPT_DATA_DIR") or "data")
