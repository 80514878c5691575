"""The ops, one folder each: the definition in reference.py, its spec, and its backends in the other files.

May import nothing of ours.
"""
