"""Reports of a run: the page report.html, its figures, the README picture and the model card.

They read what a run has written, and know no trainer. May import `training/*.py`, `training/metrics/`, `models/` and
`support/`.
"""
