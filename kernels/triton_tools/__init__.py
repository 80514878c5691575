"""Tools of Triton kernels: their launch, and the table of block sizes.

Nothing here imports triton, which the machine may lack. May import `kernels/*.py`.
"""
