"""Proof of backends: the parity rule, guards of NaN, and inspection of the compiled kernels.

May import `kernels/*.py`, `kernels/triton_tools/` and `support/`.
"""
