"""Benchmarks of the tokenizer: their texts, adversarial inputs and tables."""
