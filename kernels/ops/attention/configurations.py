"""The launch configurations of the op's Triton kernels; triton_tools/configs.py says what the columns count.

The backward kernels have lines of their own where there are documents or a window: what bounds them takes registers.
"""

LINES = """
family       op                    kernel       dtype  size   length  rows  columns  warps  stages  waves
interpreter  attention             forward      any    128    0       64    64       4      2       1
interpreter  attention             decode       any    128    0       16    64       4      2       2
interpreter  attention             backward_q   any    128    0       64    32       4      2       1
interpreter  attention             backward_kv  any    128    0       32    64       4      2       1
interpreter  attention             bounded_q    any    128    0       64    32       4      2       1
interpreter  attention             bounded_kv   any    128    0       32    64       4      2       1
sm_80        attention             forward      half   64     0       128   64       4      3       1
sm_80        attention             forward      half   128    0       128   64       8      2       1
sm_80        attention             forward      fp32   128    0       32    32       4      1       1
sm_80        attention             decode       half   128    0       16    64       4      2       2
sm_80        attention             decode       fp32   128    0       16    32       4      1       2
sm_80        attention             backward_q   half   64     0       64    64       4      2       1
sm_80        attention             backward_q   half   128    0       64    32       4      2       1
sm_80        attention             backward_q   fp32   128    0       32    32       4      1       1
sm_80        attention             backward_kv  half   64     0       64    128      8      2       1
sm_80        attention             backward_kv  half   128    0       32    64       4      2       1
sm_80        attention             backward_kv  fp32   128    0       32    32       4      1       1
sm_80        attention             bounded_q    half   128    0       64    32       4      2       1
sm_80        attention             bounded_q    fp32   128    0       32    32       4      1       1
sm_80        attention             bounded_kv   half   64     0       32    64       4      2       1
sm_80        attention             bounded_kv   half   128    0       32    32       4      2       1
sm_80        attention             bounded_kv   fp32   128    0       32    32       4      1       1
sm_90        attention             forward      half   64     0       64    64       4      3       1
sm_90        attention             forward      half   128    0       64    32       4      3       1
sm_90        attention             forward      fp32   128    0       32    32       4      1       1
sm_90        attention             decode       half   128    0       16    64       4      2       2
sm_90        attention             decode       fp32   128    0       16    32       4      1       2
sm_90        attention             backward_q   half   64     0       64    64       4      3       1
sm_90        attention             backward_q   half   128    0       64    64       4      2       1
sm_90        attention             backward_q   fp32   128    0       32    32       4      1       1
sm_90        attention             backward_kv  half   64     0       32    64       4      3       1
sm_90        attention             backward_kv  half   128    0       32    64       4      2       1
sm_90        attention             backward_kv  fp32   128    0       32    32       4      1       1
sm_90        attention             bounded_q    half   64     0       64    64       4      3       1
sm_90        attention             bounded_q    half   128    0       64    32       4      2       1
sm_90        attention             bounded_q    fp32   128    0       32    32       4      1       1
sm_90        attention             bounded_kv   half   64     0       32    64       4      3       1
sm_90        attention             bounded_kv   half   128    0       32    128      8      2       1
sm_90        attention             bounded_kv   fp32   128    0       32    32       4      1       1
sm_100       attention             forward      half   64     0       128   128      8      2       1
sm_100       attention             forward      half   128    0       128   64       8      2       1
sm_100       attention             forward      fp32   128    0       32    32       4      1       1
sm_100       attention             decode       half   128    0       16    128      4      2       2
sm_100       attention             decode       fp32   128    0       16    32       4      1       2
sm_100       attention             backward_q   half   64     0       128   64       4      2       1
sm_100       attention             backward_q   half   128    0       64    64       4      2       1
sm_100       attention             backward_q   fp32   128    0       32    32       4      1       1
sm_100       attention             backward_kv  half   64     0       64    128      8      2       1
sm_100       attention             backward_kv  half   128    0       64    128      8      2       1
sm_100       attention             backward_kv  fp32   128    0       32    32       4      1       1
sm_100       attention             bounded_q    half   64     0       128   64       4      2       1
sm_100       attention             bounded_q    half   128    0       64    64       4      2       1
sm_100       attention             bounded_q    fp32   128    0       32    32       4      1       1
sm_100       attention             bounded_kv   half   64     0       64    128      8      2       1
sm_100       attention             bounded_kv   half   128    0       64    128      8      2       1
sm_100       attention             bounded_kv   fp32   128    0       32    32       4      1       1
gfx942       attention             forward      half   64     0       128   64       4      1       1
gfx942       attention             forward      half   128    0       128   32       4      1       1
gfx942       attention             forward      fp32   128    0       32    32       4      1       1
gfx942       attention             decode       half   128    0       16    64       4      1       2
gfx942       attention             decode       fp32   128    0       16    32       4      1       2
gfx942       attention             backward_q   half   64     0       128   32       4      1       1
gfx942       attention             backward_q   half   128    0       64    32       4      1       1
gfx942       attention             backward_q   fp32   128    0       32    32       4      1       1
gfx942       attention             backward_kv  half   64     0       32    128      4      1       1
gfx942       attention             backward_kv  half   128    0       32    64       4      1       1
gfx942       attention             backward_kv  fp32   128    0       32    32       4      1       1
gfx942       attention             bounded_q    half   64     0       128   32       4      1       1
gfx942       attention             bounded_q    half   128    0       64    32       4      1       1
gfx942       attention             bounded_q    fp32   128    0       32    32       4      1       1
gfx942       attention             bounded_kv   half   64     0       32    128      4      1       1
gfx942       attention             bounded_kv   half   128    0       32    64       4      1       1
gfx942       attention             bounded_kv   fp32   128    0       32    32       4      1       1
"""

MEASURED = """
chip     dtype  size   length  ratio  beside
H200     bf16   64     1024    0.93   torch
H200     bf16   64     2048    0.99   torch
H200     bf16   64     4096    1.04   torch
H200     bf16   64     8192    1.08   torch
H200     bf16   64     16384   1.11   torch
H200     bf16   128    1024    1.31   torch
H200     bf16   128    2048    1.42   torch
H200     bf16   128    4096    1.49   torch
H200     bf16   128    8192    1.53   torch
H200     bf16   128    16384   1.60   torch
"""
"""Both passes of the op's Triton kernels, measured beside torch's own; kernels/launch_config.py says what the columns mean.

`python -m gpt_from_scratch.benchmarks.gpu.measured_lines` prints it from benchmarks/results/kernels_gpu.json.
"""
