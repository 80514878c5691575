"""Where the training text comes from."""
