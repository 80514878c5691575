"""The op `attention`: reference.py is its definition, the files beside it are its backends.

May import `kernels/*.py` and `kernels/triton_tools/`.
"""

from gpt_from_scratch.kernels.ops.attention.masking import document_ids
from gpt_from_scratch.kernels.ops.attention.reference import attention

__all__ = ["attention", "document_ids"]
