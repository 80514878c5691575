"""The command lines of training's smaller commands: their options, --help and checks, without torch.

A command parses its arguments here, and only then imports the module that does the work; `gpt train` has its own in
training/run/command_line.py. May import `training/bigram/settings.py`, `training/report/`, `models/settings.py`,
`tokenizer/formats/described.py` and `support/`.
"""
