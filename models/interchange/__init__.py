"""Interchange with other libraries, which are extras: Hugging Face's folders, GPT-2's weights and GGUF files.

A rule of another library that ours cannot follow exactly is refused by name. May import `models/*.py`, `models/layers/`,
`tokenizer/` and `support/`.
"""
