"""Texts for tokenizer benchmarks: files of this machine, and adversarial texts."""

import hashlib
import os
import random
import sys
import sysconfig
from pathlib import Path

SEPARATOR = "<|endoftext|>"
SHAKESPEARE = Path(__file__).parents[3] / "shared" / "data" / "tinyshakespeare.txt"


def corpus(megabytes: int) -> str:
    """That many MB (10^6 bytes) of code and English: the Python files and documents of this Python's folders, each once.

    Documents of 200 bytes to 400 kB, joined by `SEPARATOR`. Raises RuntimeError if there is not enough.
    """
    wanted = megabytes * 1_000_000
    roots = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"), sys.base_prefix, "/usr/share"])
    paths = {
        Path(folder, name)
        for root in roots
        for folder, _, names in os.walk(root)
        for name in names
        if name.endswith((".py", ".pyi", ".md", ".rst", ".txt"))
    }
    # In an order that mixes the packages, and depends on nothing but the files' names.
    ordered = sorted(paths, key=lambda path: hashlib.sha256(f"{path.parent.name}/{path.name}".encode()).digest())
    seen: set[bytes] = set()
    documents: list[str] = []
    size = 0
    for path in ordered:
        if path.is_symlink() or not 200 <= path.stat().st_size <= 400_000:
            continue
        data = path.read_bytes()
        digest = hashlib.sha256(data).digest()
        if digest in seen:
            continue
        try:
            documents.append(data.decode("utf-8"))
        except UnicodeDecodeError:
            continue
        seen.add(digest)
        size += len(data) + len(SEPARATOR)
        if size >= wanted:
            return SEPARATOR.join(documents)
    raise RuntimeError(f"only {size / 1e6:.0f} MB of text found below {', '.join(roots)}; asked for {megabytes}")


def adversarial(size: int = 1_000_000) -> dict[str, str]:
    """Texts of `size` characters or bytes on which tokenizers have been quadratic, or have crashed."""
    chance = random.Random(0)
    noise = chance.randbytes(size)

    def of(unit: str) -> str:
        return (unit * (size // len(unit.encode("utf-8")) + 1))[: size // len(unit.encode("utf-8")) * len(unit)]

    return {
        "a": of("a"),
        "spaces": of(" "),
        "spaces, then x": of(" ") + "x",
        "newline, spaces, x": "\n" + of(" ") + "x",
        "newlines and spaces": "".join(chance.choices(" \n\t\r", k=size)),
        "digits": of("0123456789"),
        "^": of("^"),
        "'s": of("'s"),
        "NUL": of("\0"),
        "random letters": "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=size)),
        "random a and b": "".join(chance.choices("ab", k=size)),
        "random bytes as Latin-1": noise.decode("latin-1"),
        "random bytes, replaced": noise.decode("utf-8", "replace"),
        "emoji": of("😊"),
        "combining marks": of("e\u0301\u0323"),
        "CJK": "".join(chr(0x4E00 + chance.randrange(20_000)) for _ in range(size // 3)),
        "special tokens": of(SEPARATOR),
        "Cf, Zs, controls": "".join(chance.choices("\x1c\x1d\x1e\x1f\x85\u180e\u2003\ufeff\r\n ſ'", k=size)),
    }
