"""The command lines of training's smaller commands: what each is told, its --help and its checks, without torch.

A command parses its words here and imports its work then; `gpt train` has its own in training/run/command_line.py.
May import `training/bigram/settings.py`, `training/report/`, `models/settings.py`,
`tokenizer/formats/described.py` and `support/`.
"""
