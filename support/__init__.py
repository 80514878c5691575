"""Helpers for all packages, based on the standard library and torch.

May import nothing of ours.
"""
