"""The suite of a single cell of a run, as it was or with one field of its protocol switched."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from posebench.datasets.choices import BoxChange
from posebench.errors import DataError
from posebench.networks.names import DECODER_CHOICES
from posebench.networks.spec import spec_overrides
from posebench.results.explaining.fields import GROUND_TRUTH
from posebench.results.store import Run, StoredCell
from posebench.running.sources import suite_checkpoints
from posebench.running.trained.places import with_places
from posebench.suites.shipped import folder_of
from posebench.suites.suite import BoxesEntry, CheckpointEntry, DatasetEntry, Suite

# Fields that are axes of a suite, and those that stand in the spec of a checkpoint.
_AXES = {
    "flip_test": "flip",
    "size": "sizes",
    "policy": "policies",
    "transform": "transforms",
    "engine": "engines",
    "precision": "precision",
    "decoder": "decoders",
    "corruption": "corruptions",
}
_FLIP_SHIFTS = ("shift_heatmap", "shift_simcc", "shift_coords")


@dataclass(frozen=True)
class CellSuite:
    """A suite of one cell, and the folder that its paths are relative to."""

    suite: Suite
    folder: Path
    limit: int | None = None


def cell_suite(run: Run, cell: StoredCell) -> CellSuite:
    """Return the suite that evaluates a cell of a run again.

    Raises `PosebenchError` if its suite, data or checkpoint cannot be told.
    """
    folder = folder_of(run.record.source)
    suite = with_places(run.record.suite, run.folder)
    result, protocol = cell.result, cell.result.protocol
    if result.size is None or result.policy is None or protocol.decoder is None:
        raise DataError(f"{cell.id} has no network to run again.")
    own = protocol.decoder in DECODER_CHOICES
    alone: dict[str, Any] = {
        "name": "explain",
        "checkpoints": (_checkpoint(suite, folder, cell),),
        "datasets": (_dataset(suite, cell),),
        "boxes": (_boxes(suite, cell),),
        "sizes": (str(result.size),),
        "policies": (result.policy,),
        "flip": (bool(protocol.flip_test),),
        "decoders": (protocol.decoder if own else "own",),
        "engines": (protocol.engine or "own",),
        "precision": (protocol.precision.partition(",")[0],),
        "transforms": (protocol.transform,),
        "corruptions": (protocol.corruption,),
        "claims": (),
        "trained": None,
        "probes": (),
    }
    return CellSuite(replace(suite, **alone), folder, run.record.limit)


def switched(cell: CellSuite, field: str, value: Any, work: Path) -> CellSuite:
    """Return the suite with one `network` field of `FIELDS` changed; `work` is for files it needs.

    The value of `boxes` is a `BoxesEntry`: its file and filters are taken, not its change.
    Raises `DataError` if the field has no such value here.
    """
    suite = cell.suite
    if field in _AXES:
        changed: dict[str, Any] = {_AXES[field]: (value,)}
        return replace(cell, suite=replace(suite, **changed))
    if field in ("exif", "allow_resized"):
        reading: dict[str, Any] = {field: value}
        dataset = replace(suite.dataset_entries[0], **reading)
        return replace(cell, suite=replace(suite, datasets=(dataset,)))
    if field in ("boxes", "box_shift", "box_scale"):
        boxes = _other_boxes(suite.boxes_entries[0], field, value)
        return replace(cell, suite=replace(suite, boxes=(boxes,)))
    return replace(cell, suite=_with_spec(cell, _spec_fields(field, value), work))


def _other_boxes(boxes: BoxesEntry, field: str, value: Any) -> BoxesEntry:
    if field == "box_shift":
        return replace(boxes, shift=(value[0], value[1]))
    if field == "box_scale":
        return replace(boxes, scale=value)
    if value.file == GROUND_TRUTH:
        return BoxesEntry(shift=boxes.shift, scale=boxes.scale)
    if not Path(value.file).is_file():
        raise DataError("the file of the other boxes is not here (--boxes FILE names it)")
    file = str(Path(value.file).resolve())
    other: BoxesEntry = replace(value, file=file, shift=boxes.shift, scale=boxes.scale)
    return other


def _spec_fields(field: str, value: Any) -> dict[str, dict[str, Any]]:
    """Return what a spec file says that switches a field of a crop or of the flip test."""
    if field == "flip_shift":
        return {"flip": {name: name in value for name in _FLIP_SHIFTS}}
    return {"crop": {"udp": value == "udp"} if field == "crop" else {field: value}}


def _with_spec(cell: CellSuite, fields: Mapping[str, Mapping[str, Any]], work: Path) -> Suite:
    entry = cell.suite.checkpoint_entries[0]
    known = {} if entry.spec is None else spec_overrides(cell.folder / entry.spec)
    said = {**known, **{part: {**known.get(part, {}), **own} for part, own in fields.items()}}
    with tempfile.NamedTemporaryFile("w", dir=work, suffix=".yaml", delete=False) as file:
        yaml.safe_dump(said, file)
    return replace(cell.suite, checkpoints=(replace(entry, spec=file.name),))


def _checkpoint(suite: Suite, folder: Path, cell: StoredCell) -> CheckpointEntry:
    name = cell.result.checkpoint.name
    for found in suite_checkpoints(suite, folder):
        if found.source.name == name and found.problem is None:
            spec = None if found.source.spec_file is None else str(found.source.spec_file)
            return replace(found.entry, file=str(found.source.path.resolve()), name=name, spec=spec)
    raise DataError(f"The checkpoint {name} of {cell.id} is not here.")


def _dataset(suite: Suite, cell: StoredCell) -> DatasetEntry:
    """Return the data set of a cell: the one of its name, as results call it, or the only one."""
    entries = suite.dataset_entries
    name = cell.result.protocol.dataset
    named = [entry for entry in entries if entry.called == name]
    if len(named or entries) != 1:
        raise DataError(f"Several data sets of the run may be that of {cell.id}.")
    return (named or list(entries))[0]


def _boxes(suite: Suite, cell: StoredCell) -> BoxesEntry:
    protocol = cell.result.protocol
    change = BoxChange(protocol.box_shift, protocol.box_scale)
    is_gt = protocol.boxes_sha256 is None
    fitting = [
        entry
        for entry in suite.boxes_entries
        if (entry.file == GROUND_TRUTH) == is_gt
        and entry.change == change
        and (is_gt or f"{Path(entry.file).stem} {change}".rstrip() == protocol.boxes)
    ]
    if not fitting:
        raise DataError(f"The boxes of {cell.id} are not in its run's suite.")
    return fitting[0]
