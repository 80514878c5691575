"""How the gradients of several ranks meet: one strategy a file."""
