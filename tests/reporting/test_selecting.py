"""Which cells a figure shows: patterns of ids and of fields."""

from __future__ import annotations

import pytest
from drawn import PAIR

from posebench.errors import UsageError
from posebench.reporting.selecting import selected
from posebench.results.reading import ReadCell

CELLS = [
    ReadCell(one, labels={"pair": "s"}, id=f"{one.checkpoint.name}_{one.size}_{one.policy}")
    for one in PAIR
]


@pytest.mark.parametrize(
    ("only", "count"),
    [
        ((), 6),
        (("heatmap-*",), 3),
        (("*_64x48_*",), 4),
        (("policy=resample",), 2),
        (("policy=resample,native",), 6),
        (("checkpoint=simcc-*", "policy=native"), 2),
        (("labels.pair=s",), 6),
    ],
)
def test_every_filter_must_fit(only: tuple[str, ...], count: int) -> None:
    assert len(selected(CELLS, only)) == count


def test_what_fits_nothing_is_refused_with_what_there_is() -> None:
    with pytest.raises(UsageError, match="leaves no cell") as caught:
        selected(CELLS, ["policy=nativ"])
    assert caught.value.hint == "There are: native, resample."
    with pytest.raises(UsageError, match="no field 'polcy'") as caught:
        selected(CELLS, ["polcy=native"])
    assert "Did you mean 'policy'" in str(caught.value.hint)
