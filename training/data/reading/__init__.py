"""Readers that make documents of files and streams: parts of files, rows with a text, the Hugging Face hub.

The sources are made of these, before torch is imported. May import `training/data/source.py` and `support/`.
"""
