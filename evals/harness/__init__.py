"""Our checkpoints in other people's evaluation harnesses. Each module needs its harness installed."""
