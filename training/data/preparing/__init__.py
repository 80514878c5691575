"""The steps of `gpt prepare`: open a source, share its pieces out, tokenize each, and put the results together.

Its processes start without torch. May import `training/data/source.py`, `training/data/registry.py`,
`training/data/shards.py`, `training/data/reading/`, `tokenizer/` and `support/`.
"""
