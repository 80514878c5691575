"""The interface of a decay: the course of the learning rate from its peak to its end, a subclass in a file of `decays/`."""


class Decay:
    """A decay of the rate. A subclass says in `part` what is left of the peak."""

    @staticmethod
    def part(left: float) -> float:
        """The part of the peak (0 to 1) where `left` (1 at the decay's beginning, 0 at its end) of the decay is to come."""
        raise NotImplementedError("a Decay needs a `part` of its own: the part of the peak that is left")
