"""Chunking of long texts at places where splitting the chunks gives exactly the words of the whole text."""

import time
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property

import numpy as np

from gpt_from_scratch.tokenizer.special_tokens import crosses, occurrences
from gpt_from_scratch.tokenizer.splitting.automaton import Automaton, automaton
from gpt_from_scratch.tokenizer.splitting.pattern_parser import UnsupportedPatternError
from gpt_from_scratch.tokenizer.splitting.patterns import pattern_text

PIECE = 1 << 20
"""Characters of a piece: enough that a kernel's call costs nothing, small enough to stay in the cache."""

_WINDOW = 1 << 12
_PAUSE = 1e-3
"""Seconds between two texts of a stream that make a pause."""
_LONG = 1 << 14
"""Characters of a stream from which on its pieces are larger."""
_LATE = 0.05
"""Seconds that text may wait for more where the source does not pause."""


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

    def stream(self, texts: Iterable[str]) -> Iterator[str]:
        """As `pieces`, but each piece as soon as nothing that may follow can change its words.

        Where the source does not pause, a piece may be a 256th of what was read before, of a long text a 32nd, or what came
        within `_LATE` seconds: lines are then nearly as fast as large blocks.
        """
        waiting: list[str] = []
        length = seen = total = enough = 0
        clock = time.monotonic
        before = cut_at = clock()
        for text in texts:
            waiting.append(text)
            length += len(text)
            now = clock()
            # A text without a cut is looked at again when it is twice as long: together the looks stay linear.
            if length < (
                enough if now - before < _PAUSE and now - cut_at < _LATE else 2 * seen if seen > _WINDOW else 0
            ):
                before = now
                continue
            joined = "".join(waiting)
            cut = self.last(joined, seen)
            yield from self.pieces([joined[:cut]])
            total += cut
            waiting, length, seen = [joined[cut:]], len(joined) - cut, len(joined) - cut
            enough = max(min(total >> (8 if total < _LONG else 5), self.size), 2 * seen if seen > _WINDOW else 0)
            before = cut_at = clock()
        yield from self.pieces(waiting)

    def last(self, text: str, seen: int) -> int:
        """The last cut that no continuation of the text can undo, 0 if there is none.

        Before `seen` there is none but where a special token might have begun, or behind one.
        """
        stop = len(text)
        for begin in range(max(0, stop - self._longest + 1), stop):
            if any(len(name) > stop - begin and name.startswith(text[begin:]) for name in self.names):
                stop = begin  # a special token may have begun here
                break
        if self._automaton is not None:
            classes, safe = self._quick
            for cut in range(min(stop, len(text) - 1), max(0, seen - self._longest - 1), -1):
                before, after = ord(text[cut - 1]), ord(text[cut])
                whole = before >> 11 != 0x1B and after >> 11 != 0x1B  # a surrogate belongs to its other half
                if whole and safe[classes[before]][classes[after]] and not crosses(self.names, text, cut):
                    return cut
        return max((match.end() for match in occurrences(self.names, text, 0) if match.end() <= stop), default=0)

    @cached_property
    def _quick(self) -> tuple[bytes, list[list[bool]]]:
        """The automaton's classes and safe cuts in forms that Python looks up quickly."""
        assert self._automaton is not None
        return self._automaton.class_of_code_point.tobytes(), self._automaton.safe_cuts.tolist()

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
