"""Measurements of the op's Triton kernel, whose launch configurations are layer_norm's."""

MEASURED = """
chip     dtype  size   length  ratio  beside
H200     bf16   768    32768   0.34   torch
H200     bf16   1024   32768   0.41   torch
H200     bf16   1600   32768   0.46   torch
"""
"""Both passes of the op's Triton kernels, measured beside torch's own; kernels/launch_config.py says what the columns mean.

`python -m gpt_from_scratch.benchmarks.gpu.measured_lines` prints it from benchmarks/results/kernels_gpu.json.
"""
