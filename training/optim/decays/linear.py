"""The straight decay; after a warm-up and a plateau the rate's course is a trapezoid."""

from gpt_from_scratch.training.optim.decay import Decay


class Linear(Decay):
    """Straight down (Hägele et al. 2024)."""

    @staticmethod
    def part(left: float) -> float:
        return left
