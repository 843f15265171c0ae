"""Sizes and ages as people write them."""

from __future__ import annotations

import pytest

from posebench.errors import UsageError
from posebench.files.quantities import parse_age, parse_size, shown_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("500MB", 500_000_000),
        ("2GiB", 2 << 30),
        ("1.5 GB", 1_500_000_000),
        ("0", 0),
        ("7 kb", 7000),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "5XB", "-1GB", "1.2.3GB", "five"])
def test_texts_that_are_no_sizes(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size"):
        parse_size(text)


def test_ages() -> None:
    assert [parse_age(text) for text in ("12h", "30d", "2 w")] == [43_200, 2_592_000, 1_209_600]
    with pytest.raises(UsageError, match="is not an age"):
        parse_age("30")


def test_sizes_as_people_read_them() -> None:
    shown = [shown_size(count) for count in (0, 999, 1000, 33_900_000, 250_000_000, 5_000_000_000)]
    assert shown == ["0 B", "999 B", "1.0 kB", "33.9 MB", "250 MB", "5.0 GB"]
