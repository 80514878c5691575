"""The leaf: helpers on the standard library alone. Everything may import it; it imports nothing of ours."""
