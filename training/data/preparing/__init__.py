"""What `gpt prepare` does: open a source, share its pieces out, tokenize each, and put the results together.

Nothing here may import torch: its processes start without it.
"""
