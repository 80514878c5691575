"""The decay with the square root, steep at its beginning."""

import math

from gpt_from_scratch.training.optim.decay import Decay


class OneMinusSqrt(Decay):
    """1 - √ of the decay's part that is over (Hägele et al. 2024)."""

    @staticmethod
    def part(left: float) -> float:
        return 1 - math.sqrt(1 - left)
