"""Other programs' files: tiktoken's ranks, Hugging Face's tokenizer.json, GPT-2's vocab.json and merges.txt."""
