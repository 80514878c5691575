"""The eval protocol: samples, messages, providers, prompts, limits, prices and statistics.

Every other folder of `evals/` uses these types. May import nothing of ours.
"""
