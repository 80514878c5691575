"""Fast pure-Python splitter: ASCII blocks of a text use a cheaper regular expression."""

import functools
from collections.abc import Callable

from gpt_from_scratch.tokenizer.splitting.chunks import Cutter
from gpt_from_scratch.tokenizer.splitting.patterns import splitter

_BLOCK = 1 << 11


@functools.cache
def block_splitter(pattern: str) -> Callable[[str], list[str]]:
    """As `patterns.splitter`, block by block.

    The expression for all characters is several times slower than that for ASCII, and one "é" in a book would make the
    whole of it slow: cut into blocks, most are ASCII again.
    """
    split = splitter(pattern)
    cutter = Cutter(pattern, size=_BLOCK)

    def split_blocks(text: str) -> list[str]:
        if len(text) <= _BLOCK or text.isascii():
            return split(text)
        return [word for block in cutter.pieces([text]) for word in split(block)]

    return split_blocks
