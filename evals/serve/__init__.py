"""An OpenAI-compatible server for one checkpoint. HTTP only: tokens come from the generation engine in models/."""
