"""Dictionary learning: K-SVD with known answers, and sparse autoencoders of a model's activations.

Runs and pictures of them are in `training/`. May import `models/*.py`, `models/layers/` and `support/`.
"""
