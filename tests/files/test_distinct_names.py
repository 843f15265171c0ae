"""Names of files: safe, short, and distinct also where case does not count."""

from __future__ import annotations

from posebench.files.names import distinct_file_names


def test_names_differ_and_are_safe() -> None:
    found = distinct_file_names(["val/a b", "val/A b", "val/a b", ".x.", "y" * 300])
    assert found == ["val-a-b", "val-A-b-2", "val-a-b-3", "x", "y" * 180]
