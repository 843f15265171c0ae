"""The factors in which two published networks differ besides the one that a claim contrasts."""

from __future__ import annotations

from dataclasses import dataclass

from posebench.zoo.published import PublishedCheckpoint, published_checkpoints

NOT_KNOWN = "not known"


@dataclass(frozen=True)
class Confound:
    """One factor in which a pair differs, and its value on either side in words."""

    factor: str
    one: str
    other: str

    def __str__(self) -> str:
        return f"{self.factor} ({self.one} against {self.other})"


def confounds(one: PublishedCheckpoint, other: PublishedCheckpoint) -> tuple[Confound, ...]:
    """Return the factors besides head and codec in which two networks were made differently.

    A factor that is known of one side alone is listed too, because it may differ.
    """
    sides = (_factors(one), _factors(other))
    return tuple(
        Confound(factor, sides[0][factor], sides[1][factor])
        for factor in sides[0]
        if sides[0][factor] != sides[1][factor]
    )


def data_seen(entry: PublishedCheckpoint) -> tuple[str, ...]:
    """Return every data set that a network was trained on, the earliest first.

    If an entry's initial weights are unknown, only the known data sets are returned.
    """
    before = _initial(entry)
    words = entry.initialised_from.split("+") if entry.initialised_from and not before else []
    earlier = data_seen(before) if before is not None else tuple(words)
    return tuple(dict.fromkeys((*earlier, *entry.trained_on.split("+"))))


def _factors(entry: PublishedCheckpoint) -> dict[str, str]:
    return {
        "backbone": entry.backbone,
        "input size": str(entry.input_size),
        "initial weights": _initial_words(entry),
        "training data": entry.trained_on,
        "data seen in all": ", ".join(data_seen(entry)),
        "epochs": NOT_KNOWN if entry.epochs is None else str(entry.epochs),
    }


def _initial_words(entry: PublishedCheckpoint) -> str:
    before = _initial(entry)
    if before is None:
        return entry.initialised_from or NOT_KNOWN
    length = f" after {before.epochs} epochs" if before.epochs is not None else ""
    return f"{before.id}, a {before.paradigm} network{length} on {before.trained_on}"


def _initial(entry: PublishedCheckpoint) -> PublishedCheckpoint | None:
    """Return the entry that a network's training began with, if it is one."""
    name = entry.initialised_from
    return next((each for each in published_checkpoints() if each.id == name), None)
