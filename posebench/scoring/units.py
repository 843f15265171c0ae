"""How numbers are written: their scale, their decimals, and the word behind them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """A unit in which a number is shown; numbers themselves are kept unscaled.

    `word` follows the number in a sentence; `decimals_below_one` are for values below 1, of which
    the usual decimals would show hardly anything.
    """

    word: str
    scale: float = 1.0
    decimals: int = 1
    decimals_below_one: int | None = None

    def text(self, value: float) -> str:
        """Show a number."""
        return f"{self.scale * value:.{self._decimals(value)}f}"

    def signed(self, value: float) -> str:
        """Show a difference with its sign; one too small to see is +0.0."""
        decimals = self._decimals(value)
        return f"{round(self.scale * value, decimals) + 0.0:+.{decimals}f}"

    def _decimals(self, value: float) -> int:
        small = abs(self.scale * value) < 1 and self.decimals_below_one is not None
        return self.decimals_below_one or 0 if small else self.decimals


POINTS = Unit("points", 100.0)
"""Fractions 0-1 are shown in points of a hundred."""
