"""What a tokenizer does to a text, shown: as data, in the terminal, and as a page."""
