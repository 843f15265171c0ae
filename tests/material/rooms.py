"""The rooms of posebench."""

from __future__ import annotations

# The rooms of posebench in the order in which people read them; data flows the other way. Every
# import points down the list.
ROOMS = (
    "cli",
    "reporting",
    "judging",
    "running",
    "lab",
    "results",
    "suites",
    "scoring",
    "prediction",
    "checkpoints",
    "zoo",
    "networks",
    "datasets",
    "files",
)
