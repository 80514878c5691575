"""Backends from outside: modules of the user's, of other distributions, and kernels from Hugging Face's hub.

May import `kernels/*.py`, `kernels/proof/` and `support/`.
"""
