"""Facts on published checkpoints, fetching them, and the embedded ones. Never loads torch."""

from posebench.zoo.confounds import Confound, confounds
from posebench.zoo.files import embedded_names, resolve
from posebench.zoo.published import (
    Match,
    PublishedCheckpoint,
    facts_for,
    find_published,
    published_checkpoints,
)

__all__ = [
    "Confound",
    "Match",
    "PublishedCheckpoint",
    "confounds",
    "embedded_names",
    "facts_for",
    "find_published",
    "published_checkpoints",
    "resolve",
]
