"""Student's t, two-sided: tails and quantiles (Abramowitz & Stegun 26.5.8 and 26.7.1)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

_STEPS = 500
_PRECISION = 1e-15
_NORMAL = NormalDist()


def t_tail(t: float, freedom: int) -> float:
    """Return the two-sided tail of Student's t: the probability of more than `t` >= 0."""
    beyond = freedom / (freedom + t * t)
    within = t * t / (freedom + t * t)
    if beyond < (freedom / 2 + 1) / (freedom / 2 + 2.5):
        return _beta_share(freedom / 2, 0.5, beyond, within)
    return 1 - _beta_share(0.5, freedom / 2, within, beyond)


@lru_cache(maxsize=4096)
def t_quantile(level: float, freedom: int) -> float:
    """Return the t whose two-sided tail is `level`, above 0 and at most 1."""
    if level >= 1:
        return 0.0
    # The tails are wider than the normal distribution's, and widest with one degree of freedom.
    low, high = -_NORMAL.inv_cdf(level / 2), 1 / math.tan(math.pi * level / 2)
    if freedom == 1:
        return high
    wanted = math.log(level)

    def above(logarithm: float) -> float:
        return math.log(max(t_tail(math.exp(logarithm), freedom), 1e-320)) - wanted

    return math.exp(falling_root(above, math.log(low) - 1e-6, math.log(high) + 1e-6))


def falling_root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a falling function is 0 between `low` and `high` (Ridders 1979).

    If it is 0 outside, return the end that is nearer.
    """
    at_low, at_high = function(low), function(high)
    if at_low <= 0 or at_high >= 0:
        return low if at_low <= 0 else high
    while high - low > 1e-12 * max(1.0, abs(low), abs(high)):
        middle = (low + high) / 2
        at_middle = function(middle)
        root = math.sqrt(at_middle * at_middle - at_low * at_high)
        place = middle + (middle - low) * at_middle / root
        at_place = function(place)
        for point, value in sorted([(middle, at_middle), (place, at_place)]):
            if value > 0:
                low, at_low = point, value
            elif point < high:
                high, at_high = point, value
        if 0 in (at_middle, at_place):
            return middle if at_middle == 0 else place
    return (low + high) / 2


def _beta_share(one: float, other: float, x: float, rest: float) -> float:
    """Return the regularised incomplete beta function at `x` = 1 - `rest`, by Lentz's fraction."""
    if x <= 0:
        return 0.0
    scale = math.lgamma(one + other) - math.lgamma(one) - math.lgamma(other)
    front = math.exp(scale + one * math.log(x) + other * math.log(rest)) / one if rest > 0 else 0.0
    upper, lower = 1.0, 1 / (1 - (one + other) * x / (one + 1))
    value = lower
    for step in range(1, _STEPS):
        even = step * (other - step) * x / ((one + 2 * step - 1) * (one + 2 * step))
        odd = -(one + step) * (one + other + step) * x
        odd /= (one + 2 * step) * (one + 2 * step + 1)
        for term in (even, odd):
            lower = 1 / (1 + term * lower)
            upper = 1 + term / upper
            value *= upper * lower
        if abs(upper * lower - 1) < _PRECISION:
            break
    return front * value
