"""Verification of backends: the parity rule, NaN guards, and inspection of compiled kernels.

May import `kernels/*.py`, `kernels/triton_tools/` and `support/`.
"""
