"""The launch configurations of the op's Triton kernels; triton_tools/configs.py says what the columns count."""

LINES = """
family       op                    kernel       dtype  size   length  rows  columns  warps  stages  waves
interpreter  layer_norm            forward      any    8192   0       16    0        4      1       1
interpreter  layer_norm            backward     any    8192   0       4     0        8      1       1
interpreter  layer_norm            sums         any    8192   0       64    1024     4      1       1
sm_80        layer_norm            forward      any    1024   0       4     0        4      1       1
sm_80        layer_norm            forward      any    4096   0       1     0        4      1       1
sm_80        layer_norm            forward      any    8192   0       1     0        16     1       1
sm_80        layer_norm            backward     any    1024   0       4     0        8      1       2
sm_80        layer_norm            backward     any    4096   0       1     0        8      1       2
sm_80        layer_norm            backward     any    8192   0       1     0        16     1       1
sm_80        layer_norm            sums         any    8192   0       64    32       4      1       1
sm_90        layer_norm            forward      any    1024   0       1     0        1      1       1
sm_90        layer_norm            forward      any    2048   0       2     0        4      1       1
sm_90        layer_norm            forward      any    4096   0       1     0        4      1       1
sm_90        layer_norm            forward      any    8192   0       1     0        16     1       1
sm_90        layer_norm            backward     fp32   1024   0       4     0        8      1       2
sm_90        layer_norm            backward     any    1024   0       1     0        1      1       12
sm_90        layer_norm            backward     any    2048   0       2     0        8      1       2
sm_90        layer_norm            backward     any    4096   0       1     0        8      1       2
sm_90        layer_norm            backward     any    8192   0       1     0        16     1       1
sm_90        layer_norm            sums         any    8192   0       256   16       8      1       1
sm_100       layer_norm            forward      any    1024   0       4     0        4      1       1
sm_100       layer_norm            forward      any    4096   0       1     0        4      1       1
sm_100       layer_norm            forward      any    8192   0       1     0        16     1       1
sm_100       layer_norm            backward     any    1024   0       4     0        8      1       2
sm_100       layer_norm            backward     any    4096   0       1     0        8      1       2
sm_100       layer_norm            backward     any    8192   0       1     0        16     1       1
sm_100       layer_norm            sums         any    8192   0       64    32       4      1       1
gfx942       layer_norm            forward      any    1024   0       4     0        4      1       1
gfx942       layer_norm            forward      any    4096   0       1     0        4      1       1
gfx942       layer_norm            forward      any    8192   0       1     0        8      1       1
gfx942       layer_norm            backward     any    1024   0       4     0        4      1       2
gfx942       layer_norm            backward     any    4096   0       1     0        4      1       2
gfx942       layer_norm            backward     any    8192   0       1     0        8      1       1
gfx942       layer_norm            sums         any    8192   0       64    32       4      1       1
"""

MEASURED = """
chip     dtype  size   length  ratio  beside
H200     bf16   768    32768   0.28   torch
H200     bf16   1024   32768   0.38   torch
H200     bf16   1600   32768   0.42   torch
"""
"""Both passes of the op's Triton kernels, measured beside torch's own; kernels/launch_config.py says what the columns mean.

`python -m gpt_from_scratch.benchmarks.gpu.measured_lines` prints it from benchmarks/results/kernels_gpu.json.
"""
