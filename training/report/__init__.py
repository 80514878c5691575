"""Reports of a run: the page report.html, its figures, the README picture and the model card.

They read only the files of a run. May import `training/*.py`, `training/metrics/`, `models/` and `support/`.
"""
