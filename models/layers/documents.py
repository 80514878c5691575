"""Documents in rows of tokens, each of which begins with the end-of-text token: their numbers, and the positions in them."""

import torch
from jaxtyping import Int
from torch import Tensor


def documents_and_positions(
    tokens: Int[Tensor, "b t"], eot_token: int
) -> tuple[Int[Tensor, "b t"], Int[Tensor, "b t"]]:
    """For each token the number of its document within the row, and its position there, from 0 on.

    What stands before a row's first end-of-text token is a document, too: the rest of one that was cut.
    """
    begins = tokens == eot_token
    places = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    return begins.cumsum(1), places - torch.where(begins, places, 0).cummax(1).values
