"""Facts about a checkpoint, field by field, each with its reason, and the spec made from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from posebench.datasets.keypoints import KEYPOINT_SETS, SETS_BY_NUMBER, KeypointSet
from posebench.errors import CheckpointError, SpecError, UsageError, nearest
from posebench.files.records import mapping_from_record
from posebench.networks.spec import ModelSpec, spec_from_mapping, spec_overrides

REQUIRED = ("backbone.family", "head.kind", "codec.kind", "input_size", "keypoints")
# The reason for a value that the file does not give begins with this.
_GUESSES = ("assumed", "default", "file name")
# The reason for a value from the zoo begins with this.
ZOO = "zoo entry"
_WHOLE = ("keypoints",)
# Chooses between two sets of weights in a file; `--spec` may say it, but a spec has no such field.
WEIGHTS = "weights"
_PLAIN = ("input_size", "keypoints", WEIGHTS)
_EXAMPLE = """\
    input_size: 256x192        # height x width
    codec: {kind: heatmap, decoder: quarter}
    keypoints: coco            # or a YAML file of your own"""


@dataclass(frozen=True)
class Finding:
    """One field of a `ModelSpec` as a dotted path, its plain value, and the reason for it.

    If the field cannot be known, the value is None, so that nothing is assumed, and `why` says why.
    """

    field: str
    value: Any
    why: str

    @property
    def guess(self) -> bool:
        """Whether it was only assumed, so that a zoo entry may overrule it."""
        return self.why.startswith(_GUESSES)


def findings_of(record: Mapping[str, Any], why: str, prefix: str = "") -> tuple[Finding, ...]:
    """Return a nested mapping's leaves that have a value, as findings; keypoint sets stay whole."""
    found: list[Finding] = []
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and name not in _WHOLE:
            found.extend(findings_of(value, why, f"{name}."))
        elif value is not None:
            found.append(Finding(name, value, why))
    return tuple(found)


def read_overrides(path: Path | None) -> tuple[Finding, ...]:
    """Read a `--spec` file as findings that outrank all others."""
    if path is None:
        return ()
    overrides = spec_overrides(path)
    valid = [*(field.name for field in fields(ModelSpec)), WEIGHTS]
    for key, value in overrides.items():
        if key not in valid:
            raise SpecError(f"{path}: unknown key {str(key)!r}. {nearest(str(key), valid)}")
        if key not in _PLAIN and not isinstance(value, Mapping):
            raise SpecError(f"{path}: {key} must be a mapping of fields, not {str(value)[:80]!r}.")
    return findings_of(overrides, f"--spec {path.name}")


def settle(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return one finding per field: the last one given."""
    last = {finding.field: finding for finding in findings}
    return tuple(last.values())


def nested_mapping(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return findings as the nested plain data of a record; later ones overrule earlier ones."""
    plain: dict[str, Any] = {}
    for finding in findings:
        *parents, leaf = finding.field.split(".")
        place = plain
        for parent in parents:
            inner = place.get(parent)
            if not isinstance(inner, dict):
                inner = place[parent] = {}
            place = inner
        place[leaf] = finding.value
    return plain


def spec_from_findings(findings: Iterable[Finding], *, where: str) -> ModelSpec:
    """Build the spec from settled findings.

    Raises `CheckpointError` if fields are missing; it lists them and shows how to give them. Raises
    `SpecError` if a value does not fit.
    """
    findings = tuple(finding for finding in settle(findings) if finding.field != WEIGHTS)
    unknown = {finding.field: finding.why for finding in findings if finding.value is None}
    found = {finding.field for finding in findings} - unknown.keys()
    missing = [name for name in REQUIRED if name not in found]
    if missing:
        reasons = "".join(f" ({unknown[name]})" for name in missing if name in unknown)
        raise CheckpointError(
            f"{where} does not say: {', '.join(missing)}{reasons}.",
            hint=f"Give --spec FILE.yaml with what is missing, for example:\n{_EXAMPLE}",
        )
    plain = nested_mapping(findings)
    try:
        return spec_from_mapping(plain, where=where)
    except UsageError as error:
        raise SpecError(f"{where}: {error.message}", hint=error.hint) from None


def keypoints_value(keypoints: KeypointSet) -> str | dict[str, Any]:
    """Return the name of the built-in set that equals `keypoints`, or its plain record."""
    for name, known in KEYPOINT_SETS.items():
        if (known.keypoints, known.sigmas, known.flip_pairs) == (
            keypoints.keypoints,
            keypoints.sigmas,
            keypoints.flip_pairs,
        ):
            return name
    return mapping_from_record(keypoints)


def keypoints_by_count(count: int) -> tuple[Finding, ...]:
    """Return the only built-in set with `count` keypoints, as a guess by number alone.

    If several sets have that count, the finding says that the set cannot be known.
    """
    named = [name for name, known in SETS_BY_NUMBER.items() if len(known) == count]
    if len(named) > 1:
        why = f"default: none, as {' and '.join(named)} both have {count}, in other orders"
        return (Finding("keypoints", None, why),)
    why = f"assumed: the built-in set of {count} keypoints; --spec overrules"
    return tuple(Finding("keypoints", name, why) for name in named)
