"""A report's time: sections stop when it is over, and say what they left out."""

import time


class Clock:
    """How much of the time is left."""

    def __init__(self, minutes: float) -> None:
        self.seconds = 60 * minutes
        self.end = time.monotonic() + self.seconds
        self.left_out: list[str] = []

    def over(self, what: str, reserve: float = 0.0) -> bool:
        """Whether less than `reserve` seconds are left, in which case `what` is noted as left out."""
        if time.monotonic() < self.end - reserve:
            return False
        self.left_out.append(what)
        return True
