"""Function calling for OpenAI's chat completions protocol."""
