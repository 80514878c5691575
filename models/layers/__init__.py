"""Layers of the GPT that are more than one line: embeddings, rotary positions, norms and ReLU² with their own
derivatives.

`models/gpt.py` builds the model from them. May import `models/config.py`, `kernels/` and `support/`.
"""
