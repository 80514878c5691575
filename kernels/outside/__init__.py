"""External backends: the user's modules, other distributions, and kernels from Hugging Face's hub.

May import `kernels/*.py`, `kernels/proof/` and `support/`.
"""
