"""Options of the scoring commands, importable without torch."""

STYLES = ("completion", "lm_eval")
"""HellaSwag's two public forms of a question."""
BATCH_TOKENS = 8192
"""Default number of tokens in a forward pass."""
