"""The Triton kernels of attention and the functions that they share; triton_kernel.py launches them."""
