"""Models: the GPT, generation, and the other models of the course."""
