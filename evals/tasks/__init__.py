"""Text evals, one file each: a function of the file's name that returns a `Task`, found by `gpt eval`."""
