"""Facts that the zoo adds to a file's own, and those in which the two differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from posebench.checkpoints.findings import ZOO, Finding, findings_of
from posebench.datasets.keypoints import KEYPOINT_SETS
from posebench.zoo import PublishedCheckpoint, facts_for


@dataclass(frozen=True)
class ZooFindings:
    """Findings to add to those of a file, and those that the file contradicts."""

    added: tuple[Finding, ...] = ()
    contradicted: tuple[Finding, ...] = ()


def zoo_findings(path: Path, sha256: str, read: Callable[[], Iterable[Finding]]) -> ZooFindings:
    """Return the zoo's findings on a file; `read` returns the file's own.

    An entry supplies what the file does not say and overrules guesses. Files that are not in the
    zoo are not read.
    """
    match = facts_for(path, sha256)
    if match is None:
        return ZooFindings()
    by_field = {
        found.field: found for found in read() if found.value is not None or not found.guess
    }
    facts = findings_of(spec_facts(match.entry), f"{ZOO} {match.entry.id} (same {match.by})")
    differing = [fact for fact in facts if _contradicts(by_field.get(fact.field), fact)]
    if any(fact.field == "codec.kind" for fact in differing):
        # The codec of another paradigm does not apply.
        facts = tuple(fact for fact in facts if not fact.field.startswith("codec."))
    settled = {name for name, finding in by_field.items() if not finding.guess}
    added = [fact for fact in facts if fact.field not in settled and fact not in differing]
    return ZooFindings(tuple(added), tuple(differing))


def spec_facts(entry: PublishedCheckpoint) -> dict[str, Any]:
    """Return an entry's fields of a `ModelSpec`, as nested plain data; None means unknown."""
    known = KEYPOINT_SETS.get(entry.keypoints)
    fits = known is not None and len(known) == entry.keypoint_count
    return {
        "input_size": str(entry.input_size),
        "codec": asdict(entry.codec),
        "crop": asdict(entry.crop) if entry.crop else None,
        "flip": asdict(entry.flip) if entry.flip else None,
        "keypoints": entry.keypoints if fits else None,
    }


def _contradicts(said: Finding | None, fact: Finding) -> bool:
    """Tell whether a file contradicts a fact; a guess does so only by its number of keypoints."""
    if said is None:
        return False
    if not said.guess:
        return bool(_plain(said.value) != _plain(fact.value))
    if fact.field != "keypoints" or not isinstance(said.value, str):
        return False
    return len(KEYPOINT_SETS[said.value]) != len(KEYPOINT_SETS[fact.value])


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value
