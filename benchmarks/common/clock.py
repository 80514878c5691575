"""Time budget of a report: sections stop when it is used up, and record what they skipped."""

import time


class Clock:
    """The remaining time of a budget."""

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
