"""Safe display of untrusted text (a corpus, a model): hidden and control characters are made visible."""

import unicodedata

KEPT = "\n\t"
"""Control characters that lay text out and do nothing else."""
_HIDDEN = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
"""Unicode categories: control, format (bidirectional overrides, zero-width marks), private, surrogate, line and paragraph."""


def visible(text: str) -> str:
    r"""`text` with control characters as their pictures (ESC as ␛) and other hidden ones as escapes (``\u202e``).

    Line breaks and tabs stay. A terminal that prints it cannot be steered by it, a page that shows it cannot be reordered.
    """
    return text if text.isascii() and text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character in KEPT or unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
