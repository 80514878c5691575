"""The ops, a folder each: the definition in reference.py, its spec, and its backends in the files beside it.

May import nothing of ours.
"""
