"""Evaluation during training: HellaSwag and samples of text.

The validation loss is in `training/data/validation_set`, since it belongs to the data. May import `training/data/`,
`training/ranks/`, `evals/scoring/`, `tokenizer/` and `models/`.
"""
