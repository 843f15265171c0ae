"""Numbers and names as people read them."""

from __future__ import annotations

from string import ascii_uppercase

NO_VALUE = "–"


def points(value: float | None) -> str:
    """Show a fraction 0-1 in points with one decimal."""
    return NO_VALUE if value is None else f"{100 * value:.1f}"


def p_text(value: float | None) -> str:
    """Show a p-value."""
    return NO_VALUE if value is None else f"{value:.3f}" if value >= 0.001 else "<0.001"


def file_labels(count: int) -> list[str]:
    """Return short names for the columns of several files: `A`, `B` and so on, or `#1`, `#2`."""
    few = count <= len(ascii_uppercase)
    return list(ascii_uppercase[:count]) if few else [f"#{i + 1}" for i in range(count)]
