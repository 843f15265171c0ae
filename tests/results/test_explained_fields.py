"""Every field of a protocol is one that an explanation compares, or is left out for a reason."""

from __future__ import annotations

from dataclasses import fields

from posebench.results.cell import Protocol
from posebench.results.explaining.fields import FIELDS, LEFT_OUT, OTHER_NAMES


def test_every_field_of_a_protocol_is_compared_or_left_out_by_name() -> None:
    names = [field.name for field in fields(Protocol)]
    for name in names:
        found = [name in FIELDS, OTHER_NAMES.get(name) in FIELDS, name in LEFT_OUT]
        assert sum(found) == 1, name
    assert not {*OTHER_NAMES, *LEFT_OUT} - {*names}
