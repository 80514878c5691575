"""The decay along half a cosine."""

import math

from gpt_from_scratch.training.optim.decay import Decay


class Cosine(Decay):
    """Half a cosine (Loshchilov & Hutter 2017)."""

    @staticmethod
    def part(left: float) -> float:
        return 0.5 * (1 - math.cos(math.pi * left))
