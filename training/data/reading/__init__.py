"""Readers of documents: parts of files, rows with a text field, the Hugging Face hub.

The sources are made of these, before torch is imported. May import `training/data/source.py` and `support/`.
"""
