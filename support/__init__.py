"""Helpers that everything may use, on the standard library and torch.

May import nothing of ours.
"""
