"""Files on disk: atomic writes, locks, downloads, and text files in all common encodings and compressions. May import
`support/*.py` and `support/command_line/`.
"""
