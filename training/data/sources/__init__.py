"""The data sources, a file each, which declares `LIVE`, a `LiveSource`, or `PREPARED`, a `PreparedSource`, or both.

All else that knows of a source is made from that, before torch is imported. May import `training/data/source.py`,
`training/data/data_folder.py`, `training/data/reading/`, `training/data/stories/`, `training/data/mixing/weights.py` and
`tokenizer/chat/` and `support/`.
"""
