"""Benchmarks: kernels, training and tokenizers side by side, in one run."""
