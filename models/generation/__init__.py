"""Generation of text: the engine, its order of rows, and the choice of the next token.

`generate` and `Sampling` are its public names, imported from `gpt_from_scratch.models`.
May import `kernels/*.py`, `models/*.py` and `models/layers/`.
"""
