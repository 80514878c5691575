"""The Triton kernels of attention, and the passes that launch them.

May import `kernels/*.py` and `kernels/triton_tools/`.
"""
