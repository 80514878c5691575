"""What Triton kernels share: their launch, and the table of block sizes. Imports no triton: the machine may have none."""
