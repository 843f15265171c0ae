"""Verdicts on the page: one scale for each unit, and the number of claims where that is why."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from report_runs import CLAIM

from posebench.judging.verdicts import Verdict
from posebench.reporting.page.verdict_views import verdict_views


def test_verdicts_of_one_unit_share_one_scale() -> None:
    small = Verdict(replace(CLAIM, id="small"), "supported", 0.01, 0.005, 0.02)
    large = Verdict(replace(CLAIM, id="large", metric="AR"), "supported", 0.3, 0.2, 0.4)
    slow = Verdict(replace(CLAIM, id="slow", metric="latency ms"), "supported", 2.0, 1.0, 3.0)
    ends = [
        re.findall(r">([-+]\d+)<", view.drawing or "")
        for view in verdict_views([large, small, slow])
    ]
    assert ends == [["-50", "+50"], ["-50", "+50"], ["-4", "+4"]]


@pytest.mark.parametrize(
    ("p", "p_holm", "why"),
    [
        (0.027, 0.081, "p 0.081 after Holm, 0.027 alone"),
        (0.2, 0.6, None),
        (None, None, None),
    ],
)
def test_a_verdict_says_if_only_the_number_of_claims_speaks_against_it(
    p: float | None, p_holm: float | None, why: str | None
) -> None:
    verdict = Verdict(CLAIM, "inconclusive", 0.02, 0.001, 0.04, p=p, p_holm=p_holm)
    (view,) = verdict_views([verdict])
    assert view.why == why
    (view,) = verdict_views([replace(verdict, verdict="supported")])
    assert view.why is None
