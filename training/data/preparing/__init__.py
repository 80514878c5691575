"""The steps of `gpt prepare`: open a source, distribute its pieces, tokenize each, and combine the results.

Its processes start without torch. May import `training/data/source.py`, `training/data/registry.py`,
`training/data/shards.py`, `training/data/reading/`, `tokenizer/` and `support/`.
"""
