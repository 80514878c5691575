"""Split patterns: a parser of regular expressions, and automata that cut a text into words as the pattern does.

A pattern that cannot be reproduced exactly is an error. May import `tokenizer/*.py`.
"""
