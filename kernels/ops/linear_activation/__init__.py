"""The op `linear_activation`: reference.py is its definition, the files beside it are its backends.

May import `kernels/*.py`, `kernels/triton_tools/` and `kernels/ops/layer_norm/`.
"""

from gpt_from_scratch.kernels.ops.linear_activation.reference import linear_activation

__all__ = ["linear_activation"]
