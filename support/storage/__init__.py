"""Files on disk: atomic writes, locks, downloads, and texts in the encodings and compressions that are found outside.

Whatever is read from outside is turned into our types here, or named for what it is. May import `support/*.py` and
`support/command_line/`.
"""
