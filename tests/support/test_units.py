"""Times and sizes read alike wherever they are said."""

import pytest

from gpt_from_scratch.support.units import duration, exact_size, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *[(0, "0 s"), (4.24, "4.2 s"), (9, "9 s"), (45.4, "45 s"), (59.6, "1 min")],
        *[(200, "3 min 20 s"), (18_600, "5 h 10 min"), (273_600, "3 d 4 h")],
    ],
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_sizes_are_for_people_and_scripts() -> None:
    assert [size(n) for n in (0, 999, 1234, 5e6, 7.25e9, 3e13)] == [
        "0 B",
        "999 B",
        "1.23 kB",
        "5 MB",
        "7.25 GB",
        "30 TB",
    ]
    assert exact_size(512) == "512 bytes"
    assert exact_size(1_234_567) == "1.23 MB (1,234,567 bytes)"
