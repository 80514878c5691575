"""The shape checks must really be on: otherwise every annotated test would pass on wrong shapes."""

import pytest
import torch
from jaxtyping import TypeCheckError

from gpt_from_scratch.kernels.ops.layer_norm import layer_norm


def test_a_wrong_shape_raises() -> None:
    with pytest.raises(TypeCheckError):
        layer_norm.reference(torch.zeros(2, 4), torch.zeros(5), torch.zeros(5))
