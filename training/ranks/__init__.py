"""Ranks of a distributed run: process group, rendezvous, heartbeat, and agreement on what is run.

Sharing of gradients is in `training/parallel`. May import `evals/protocol/` and `support/`.
"""
