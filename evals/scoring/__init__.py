"""Scoring of language models by the probability they give to text. Needs torch, and neither pydantic nor a network."""
