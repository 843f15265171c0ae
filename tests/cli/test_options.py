"""Options that need more than a type."""

from __future__ import annotations

import pytest
import typer

from posebench.cli.options import _crops


def test_a_batch_size_is_a_number_or_auto() -> None:
    assert (_crops("auto"), _crops("1"), _crops("4096")) == (None, 1, 4096)
    for text in ("0", "4097", "-3", "2.5", "many", ""):
        with pytest.raises(typer.BadParameter, match="neither auto nor a number from 1 to 4096"):
            _crops(text)
