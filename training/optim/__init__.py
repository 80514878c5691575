"""Optimizers and the learning-rate schedule: AdamW, Muon, and Muon's work shared between ranks.

They know parameters and ranks, and nothing of data, models or the trainer."""
