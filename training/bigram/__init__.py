"""The bigram course: nine stages from a bigram table to a GPT, their loop and figures.

May import `training/drawing.py`, `training/data/`, `training/optim/`, `models/` and `support/`.
"""
