"""The launch configurations of the op's Triton kernels; triton_tools/configs.py says what the columns count."""

LINES = """
family       op                    kernel       dtype  size   length  rows  columns  warps  stages  waves
interpreter  linear_cross_entropy  loss         any    0      0       1     512      8      1       1
sm_80        linear_cross_entropy  loss         any    0      0       1     4096     8      1       1
sm_90        linear_cross_entropy  loss         any    0      0       1     2048     4      1       1
sm_100       linear_cross_entropy  loss         any    0      0       1     4096     8      1       1
gfx942       linear_cross_entropy  loss         any    0      0       1     4096     4      1       1
"""
