"""Function calling for Anthropic's messages protocol."""
