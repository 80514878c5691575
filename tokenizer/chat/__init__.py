"""Conversations as tokens: chat templates, and which tokens are the assistant's.

A template is Hugging Face's, in Jinja, and runs in a sandbox. May import `tokenizer/*.py` and `support/`.
"""
