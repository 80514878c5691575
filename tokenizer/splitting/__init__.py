"""Split patterns: a parser of regular expressions, and automata that cut a text into words as the pattern does.

A pattern whose rules we cannot follow exactly is refused by name. May import `tokenizer/*.py`.
"""
