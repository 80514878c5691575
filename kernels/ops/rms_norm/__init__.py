"""The op `rms_norm`: reference.py is its definition, the files beside it are its backends.

May import `kernels/*.py`, `kernels/triton_tools/` and `kernels/ops/layer_norm/`.
"""

from gpt_from_scratch.kernels.ops.rms_norm.reference import rms_norm

__all__ = ["rms_norm"]
