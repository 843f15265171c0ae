"""Options that need more than a type."""

from __future__ import annotations

import os

import pytest
import typer

from posebench.cli.options import _crops
from posebench.cli.run_options import RunOptions


def test_a_batch_size_is_a_number_or_auto() -> None:
    assert (_crops("auto"), _crops("1"), _crops("4096")) == (None, 1, 4096)
    for text in ("0", "4097", "-3", "2.5", "many", ""):
        with pytest.raises(typer.BadParameter, match="neither auto nor a number from 1 to 4096"):
            _crops(text)


@pytest.mark.parametrize(
    ("device", "jobs", "places"),
    [
        ("cuda:0,cuda:1", None, ("cuda:0", "cuda:1")),
        ("cuda:1", 2, ("cuda:1", "cuda:1")),
        ("cuda:0, cuda:1", 2, ("cuda:0", "cuda:1", "cuda:0", "cuda:1")),
        ("cpu", 3, ("cpu",) * 3),
        ("cpu", None, ("cpu",) * (os.cpu_count() or 1)),
    ],
)
def test_an_executor_of_this_machine_has_a_process_for_each_device(
    device: str, jobs: int | None, places: tuple[str, ...]
) -> None:
    options = RunOptions(out=None, device=device, jobs=jobs, executor="processes")
    assert options.places == places
