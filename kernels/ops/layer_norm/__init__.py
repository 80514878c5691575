"""The op `layer_norm`: reference.py is its definition, the files beside it are its backends.

May import `kernels/*.py` and `kernels/triton_tools/`.
"""

from gpt_from_scratch.kernels.ops.layer_norm.reference import layer_norm

__all__ = ["layer_norm"]
