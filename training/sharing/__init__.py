"""Exchange of models with other programs: the work of `gpt export`, `gpt import` and `gpt push`.

A model is verified before it is exported, and a folder or repository with other content is never written to. May import
`training/commands/`, `training/report/`, `models/`, `tokenizer/` and `support/`.
"""
