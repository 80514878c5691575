"""Training: data, the loop, optimizers, checkpoints and the report."""
