"""The arithmetic eval by its documented names: `arithmetic_eval` runs it, and `visualization` draws it.

May import `evals/arithmetic/`, `evals/tasks/`, `evals/answers/`, `evals/protocol/`, `evals/results/` and
`evals/*.py`.
"""
