"""How files and streams become documents: parts of files, rows with a text, the Hugging Face hub.

The sources in `training/data/sources` are made of these. Nothing here may import torch: `prepare` starts without it.
"""
