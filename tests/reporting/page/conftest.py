"""The browser of this folder's tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browsing import started_browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Return a headless browser, or skip."""
    with started_browser() as found:
        yield found
