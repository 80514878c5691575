"""Formatting of times and sizes for the terminal, the report and errors."""


def duration(seconds: float) -> str:
    """A time: 4.2 s, 45 s, 3 min 20 s, 5 h 10 min, 3 d 4 h."""
    whole = round(seconds)
    for unit, size, below, small in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {unit}" + (f" {rest} {below}" if rest else "")
    return f"{whole} s" if whole >= 10 else f"{seconds:.1f}".removesuffix(".0") + " s"


def size(n_bytes: float) -> str:
    """A number of bytes by three figures: 512 B, 1.23 GB."""
    units = ["PB", "TB", "GB", "MB", "kB", "B"]
    while float(f"{n_bytes:.3g}") >= 1000 and len(units) > 1:
        n_bytes /= 1000
        units.pop()
    return f"{float(f'{n_bytes:.3g}'):g} {units[-1]}"


def exact_size(n_bytes: int) -> str:
    """A number of bytes for people and, exactly, for scripts: "1.23 GB (1,234,567,890 bytes)"."""
    exact = f"{n_bytes:,} bytes"
    return exact if n_bytes < 1000 else f"{size(n_bytes)} ({exact})"
