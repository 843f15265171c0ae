"""What a checkpoint says about itself, field by field, with the reason, and the spec made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from posebench.datasets.keypoints import KEYPOINT_SETS, KeypointSet
from posebench.errors import CheckpointError, SpecError, UsageError, nearest
from posebench.files.records import mapping_from_record
from posebench.networks.spec import ModelSpec, spec_from_mapping, spec_overrides

REQUIRED = ("backbone.family", "head.kind", "codec.kind", "input_size", "keypoints")
# How the reason for what a file does not say begins.
_GUESSES = ("assumed", "default", "file name")
# How the reason for what the zoo says begins.
ZOO = "zoo entry"
_WHOLE = ("keypoints",)
# Which of two sets of weights in a file: no field of a spec, but `--spec` may say it.
WEIGHTS = "weights"
_PLAIN = ("input_size", "keypoints", WEIGHTS)
_EXAMPLE = """\
    input_size: 256x192        # height x width
    codec: {kind: heatmap, decoder: quarter}
    keypoints: coco            # or a YAML file of your own"""


@dataclass(frozen=True)
class Finding:
    """One field of a `ModelSpec` as a dotted path, its plain value, and why it is believed.

    A value of None says why the field cannot be known, so that nothing is assumed for it.
    """

    field: str
    value: Any
    why: str

    @property
    def guess(self) -> bool:
        """Whether the file itself does not say it, so that a zoo entry may overrule it."""
        return self.why.startswith(_GUESSES)


def findings_of(record: Mapping[str, Any], why: str, prefix: str = "") -> tuple[Finding, ...]:
    """Return the leaves of a nested mapping that have a value; keypoint sets stay whole."""
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
    """Return one finding per field: the last one that was given for it."""
    last = {finding.field: finding for finding in findings}
    return tuple(last.values())


def nested_mapping(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return findings as the nested plain data of a record; a later one overrules an earlier."""
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
    """Build the spec of settled findings.

    Raise `CheckpointError` that lists what is missing and shows how to give it, `SpecError` for
    a value that does not fit.
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
    """Return the name of the built-in set that equals `keypoints`, else its plain record."""
    for name, known in KEYPOINT_SETS.items():
        if (known.keypoints, known.sigmas, known.flip_pairs) == (
            keypoints.keypoints,
            keypoints.sigmas,
            keypoints.flip_pairs,
        ):
            return name
    return mapping_from_record(keypoints)


def keypoints_by_count(count: int) -> tuple[Finding, ...]:
    """Return the one built-in set with `count` keypoints, as a guess by number alone.

    Where several have as many, the finding says that it cannot be known.
    """
    named = [name for name, known in KEYPOINT_SETS.items() if len(known) == count]
    if len(named) > 1:
        why = f"default: none, as {' and '.join(named)} both have {count}, in other orders"
        return (Finding("keypoints", None, why),)
    why = f"assumed: the built-in set of {count} keypoints; --spec overrules"
    return tuple(Finding("keypoints", name, why) for name in named)
