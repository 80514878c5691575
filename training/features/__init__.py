"""Features of a sparse autoencoder: its curve, its map, and the page that shows them.

May import `training/drawing.py`, `models/dictionary/` and `support/`.
"""
