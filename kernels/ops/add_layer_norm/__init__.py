"""The op `add_layer_norm`: reference.py is its definition, the files beside it are its backends.

May import `kernels/*.py`, `kernels/triton_tools/` and `kernels/ops/layer_norm/`.
"""

from gpt_from_scratch.kernels.ops.add_layer_norm.reference import add_layer_norm

__all__ = ["add_layer_norm"]
