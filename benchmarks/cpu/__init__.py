"""Benchmarks on a CPU: training steps beside other libraries, generation, start-up, data and checkpoints.

May import `benchmarks/common/`, `support/`, `kernels/`, `tokenizer/`, `models/` and `training/`.
"""
