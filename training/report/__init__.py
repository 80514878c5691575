"""Reports of a run: the page report.html, its figures, the README picture and the model card.

They read what a run has written and may not import the trainer."""
