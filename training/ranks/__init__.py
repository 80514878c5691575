"""Ranks of a distributed run: process group, rendezvous, heartbeat, and agreement on what is run.

Only `support/` and torch may be imported. How gradients are shared is in `training/parallel`."""
