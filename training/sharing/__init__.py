"""Models that go elsewhere and come from elsewhere: the work of `gpt export`, `gpt import` and `gpt push`.

What is taken out is proven first, and no folder or repository with something else in it is written into. May import
`training/commands/`, `training/report/`, `models/`, `tokenizer/` and `support/`.
"""
