"""`InputSize` as people write it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from posebench.errors import SpecError, UsageError
from posebench.files.records import mapping_from_record, record_from_mapping
from posebench.networks.sizes import MAX_SIDE, InputSize


@dataclass(frozen=True)
class Holder:
    size: InputSize


@pytest.mark.parametrize("text", ["256x192", " 256 X 192 ", "256×192", "0256x0192"])
def test_height_comes_first(text: str) -> None:
    size = InputSize.parse(text)
    assert (size.height, size.width, str(size)) == (256, 192, "256x192")
    assert size.aspect_ratio == 0.75
    assert InputSize.parse(str(size)) == size


@pytest.mark.parametrize(
    "text",
    ["", "256", "256x", "x192", "256x192x3", "-256x192", "2.5x1", "0x192", "4097x1", "native"],
)
def test_anything_else_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        InputSize.parse(text)
    assert caught.value.hint


def test_scaling_rounds_and_stays_in_range() -> None:
    assert InputSize(255, 191).scaled(0.5) == InputSize(128, 96)
    assert InputSize(MAX_SIDE, 1).scaled(1) == InputSize(MAX_SIDE, 1)
    for factor in (0.001, 100):
        with pytest.raises(UsageError, match="out of range"):
            InputSize(256, 192).scaled(factor)


def test_sizes_are_text_in_records() -> None:
    holder = Holder(InputSize(256, 192))
    assert mapping_from_record(holder) == {"size": "256x192"}
    assert record_from_mapping(Holder, {"size": "256x192"}, where="x") == holder
    with pytest.raises(SpecError, match=r"file\.yaml.*not an input size"):
        record_from_mapping(Holder, {"size": [192, 256]}, where="file.yaml")
