"""The op `linear_cross_entropy`: reference.py is its definition, the files beside it are its backends.

May import `kernels/*.py`, `kernels/triton_tools/` and `kernels/ops/attention/`.
"""

from gpt_from_scratch.kernels.ops.linear_cross_entropy.reference import linear_cross_entropy

__all__ = ["linear_cross_entropy"]
