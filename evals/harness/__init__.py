"""Our checkpoints in other people's evaluation harnesses; each module needs its harness installed.

May import `evals/providers/`, `evals/scoring/` and `models/`.
"""
