"""Sources of documents: stories, Shakespeare, text files and data sets of the Hugging Face hub.

Each source is an iterator of documents; tokens, shards and batches are made above this folder."""
