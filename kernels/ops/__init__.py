"""The ops, a folder each: the definition in reference.py, all that is known of it, and its backends in the files beside it."""
