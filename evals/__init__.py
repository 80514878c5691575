"""Evals: providers, function calling, the runner, and the scoring of our own models."""
