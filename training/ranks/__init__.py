"""Ranks of a distributed run: process group, rendezvous, heartbeat, and agreement on what is run.

The exchange of gradients is in `training/parallel`. May import `evals/protocol/` and `support/`.
"""
