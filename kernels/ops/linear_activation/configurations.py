"""The launch configurations of the op's Triton kernels; triton_tools/configs.py says what the columns count."""

LINES = """
family       op                    kernel       dtype  size   length  rows  columns  warps  stages  waves
interpreter  linear_activation     forward      any    0      0       16    64       4      1       1
interpreter  linear_activation     backward     any    0      0       16    64       4      1       8
interpreter  linear_activation     sums         any    0      0       64    1024     4      1       1
sm_80        linear_activation     forward      any    0      0       8     128      4      1       1
sm_80        linear_activation     backward     any    0      0       8     128      4      1       8
sm_80        linear_activation     sums         any    0      0       64    32       4      1       1
sm_90        linear_activation     forward      any    0      0       8     128      4      1       1
sm_90        linear_activation     backward     any    0      0       8     128      4      1       8
sm_90        linear_activation     sums         any    0      0       64    32       4      1       1
sm_100       linear_activation     forward      any    0      0       8     128      4      1       1
sm_100       linear_activation     backward     any    0      0       8     128      4      1       8
sm_100       linear_activation     sums         any    0      0       64    32       4      1       1
gfx942       linear_activation     forward      any    0      0       8     128      4      1       1
gfx942       linear_activation     backward     any    0      0       8     128      4      1       8
gfx942       linear_activation     sums         any    0      0       64    32       4      1       1
"""
