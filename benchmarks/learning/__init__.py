"""Benchmarks of learning: time to a loss, scaling, the bigram ladder and dictionaries."""
