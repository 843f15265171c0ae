"""Channel counts of the mobile families, rounded as in MMPose's `make_divisible`."""

from __future__ import annotations


def make_divisible(channels: float, divisor: int) -> int:
    """Return the multiple of `divisor` nearest to `channels` but at least 0.9 * `channels`."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * channels else nearest
