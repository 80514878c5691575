"""The launch configurations of the op's Triton kernels; triton_tools/configs.py says what the columns count."""

LINES = """
family       op                    kernel       dtype  size   length  rows  columns  warps  stages  waves
interpreter  linear_cross_entropy  loss         any    0      0       1     512      8      1       1
sm_80        linear_cross_entropy  loss         any    0      0       1     4096     8      1       1
sm_90        linear_cross_entropy  loss         any    0      0       1     2048     4      1       1
sm_100       linear_cross_entropy  loss         any    0      0       1     4096     8      1       1
gfx942       linear_cross_entropy  loss         any    0      0       1     4096     4      1       1
"""

MEASURED = """
chip     dtype  size   length  ratio  beside
H200     bf16   768    32768   0.30   torch
"""
"""Both passes of the op's Triton kernels, measured beside torch's own; kernels/launch_config.py says what the columns mean.

`python -m gpt_from_scratch.benchmarks.gpu.measured_lines` prints it from benchmarks/results/kernels_gpu.json.
"""
