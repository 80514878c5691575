"""Long texts in pieces: cut only where splitting the pieces gives exactly the words of the whole."""

from collections.abc import Collection, Iterable, Iterator

import numpy as np

from gpt_from_scratch.tokenizer.automaton import Automaton, automaton
from gpt_from_scratch.tokenizer.pattern_parser import UnsupportedPatternError
from gpt_from_scratch.tokenizer.patterns import pattern_text
from gpt_from_scratch.tokenizer.special_tokens import crosses, occurrences

PIECE = 1 << 20
"""Characters of a piece: enough that a kernel's call costs nothing, small enough to stay in the cache."""

_WINDOW = 1 << 12


class Cutter:
    """Cuts for one pattern, never inside one of the special tokens `names`."""

    def __init__(self, pattern: str, names: Collection[str] = (), size: int | None = None) -> None:
        self.names = frozenset(names)
        self.size = size or PIECE
        self._longest = max(map(len, self.names), default=1)
        self._automaton: Automaton | None
        try:
            self._automaton = automaton(pattern_text(pattern))
        except UnsupportedPatternError:
            self._automaton = None

    def pieces(self, texts: Iterable[str]) -> Iterator[str]:
        """The concatenation of `texts` in pieces of about `size` characters, or longer where no cut is to be had."""
        waiting: list[str] = []
        length, enough = 0, self.size
        for text in texts:
            waiting.append(text)
            length += len(text)
            if length < enough:
                continue
            joined, start = "".join(waiting), 0
            while len(joined) - start > self.size:
                cut = self.find(joined, start, start + self.size)
                if cut is None:
                    break
                yield joined[start:cut]
                start = cut
            waiting = [joined[start:]] if start else [joined]
            length = len(joined) - start
            # Where no cut was found, the next look waits for twice the text: together they stay linear.
            enough = max(self.size, 2 * length if length > self.size else 0)
        if length:
            yield "".join(waiting)

    def find(self, text: str, start: int, place: int) -> int | None:
        """The first cut at `place` or later that no continuation of the text can undo; `start` is the cut before."""
        stop = len(text) - self._longest + 1  # behind it a special token may still be incomplete
        if self._automaton is None:
            return self._behind_special_token(text, start, place, stop)
        classes, safe = self._automaton.class_of_code_point, self._automaton.safe_cuts
        for begin in range(max(place, 1), stop, _WINDOW):
            window = text[begin - 1 : min(begin + _WINDOW, stop)]
            points = np.frombuffer(window.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
            # A surrogate belongs to its other half.
            whole = points >> 11 != 0x1B
            cuts = safe[classes[points[:-1]], classes[points[1:]]] & whole[:-1] & whole[1:]
            for cut in begin + np.flatnonzero(cuts):
                if not crosses(self.names, text, int(cut)):
                    return int(cut)
                if (behind := self._behind_special_token(text, start, place, stop)) is not None:
                    return behind
        return None

    def _behind_special_token(self, text: str, start: int, place: int, stop: int) -> int | None:
        return next((m.end() for m in occurrences(self.names, text, start) if place <= m.end() <= stop), None)
