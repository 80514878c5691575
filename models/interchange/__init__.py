"""Interchange with other libraries, which are extras: Hugging Face's folders, GPT-2's weights and GGUF files.

A feature of another library that cannot be reproduced exactly is an error, which names it. May import `models/*.py`,
`models/layers/`, `tokenizer/` and `support/`.
"""
