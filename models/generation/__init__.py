"""Generation of text: the batching engine, its fair queue, and sampling.

`generate` and `Sampling` are its public names, imported from `gpt_from_scratch.models`.
May import `kernels/*.py`, `models/*.py`, `models/layers/` and `support/`.
"""
