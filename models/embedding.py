"""An embedding that a model on the meta device (shapes without memory) can have at no cost."""

from torch import nn


class Embedding(nn.Embedding):
    """nn.Embedding that is not filled where it has no memory: torch would import Dynamo for that, which takes a second."""

    def reset_parameters(self) -> None:
        """nn.Embedding's, but for meta tensors."""
        if not self.weight.is_meta:
            super().reset_parameters()
