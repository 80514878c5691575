"""Interchange with other libraries: Hugging Face's folders, GPT-2's weights and GGUF files.

A rule of another library that ours cannot follow exactly is refused by name.
Heavy libraries are extras, imported inside the function that needs them."""
