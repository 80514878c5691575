"""Pictures of the README, drawn from results and real runs.

May import `benchmarks/common/`, `benchmarks/learning/`, `support/`, `tokenizer/`, `evals/` and `training/`.
"""
