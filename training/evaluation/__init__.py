"""Evaluation during training: HellaSwag and samples of text.

The validation loss is in `training/data/validation_set`, since it is a property of the data. May import
`training/data/`, `training/ranks/`, `evals/scoring/`, `tokenizer/` and `models/`.
"""
