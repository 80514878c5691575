"""Text evals, one file each: a function of the file's name that returns a `Task`, found by `gpt eval`.

May import `evals/arithmetic/`, `evals/answers/`, `evals/protocol/`, `evals/results/`, `evals/scoring/` and
`evals/task.py`.
"""
