"""Adapters of our checkpoints for other evaluation harnesses; each module needs its harness installed.

May import `evals/providers/`, `evals/scoring/` and `models/`.
"""
