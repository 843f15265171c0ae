"""What `posebench inspect`, `posebench convert` and `posebench data` print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType

from posebench.datasets.keypoints import KEYPOINT_SETS
from posebench.datasets.known.record import KnownDataset, known_dataset, known_names
from posebench.reporting.escaping import one_line
from posebench.reporting.tables.results_table import FEW_IMAGES
from posebench.reporting.text_tables import TextTable, cell_text, terminal_table
from posebench.reporting.texts import NO_VALUE, number_text
from posebench.results.numbers import AP, number_named
from posebench.scoring.evaluate import EVALUATORS
from posebench.scoring.matching.metrics import MatchMetric, Subset
from posebench.scoring.metrics import scored_by
from posebench.scoring.statistics.image_table import DistanceMetric
from posebench.scoring.statistics.sigmas import ENOUGH_REPEATS, SigmaEstimates

# Records in records of a file's provenance, beyond which they are shown in one line.
_MOST_LEVELS = 6
# A label that lies so many sigmas from the mean is one to look at.
_ODD = 3.0
_BOX_SIDE = "the longer side of the box"
# Numbers of a data set that a line of the table has room for.
_MOST_SHOWN = 3

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from posebench.checkpoints import Checkpoint, Inspection
    from posebench.scoring.data_check import CheckReport


def inspection_listing(inspection: Inspection) -> str:
    """Return the fields found, why, the size of the network, and the fate of the tensors."""
    lines = [
        f"{inspection.path}",
        f"  publisher   {inspection.publisher}",
        f"  sha256      {inspection.sha256}",
    ]
    checkpoint = inspection.checkpoint
    if checkpoint is not None:
        from posebench.networks.backbones import EXPORTED, describe
        from posebench.networks.costs import count_gflops

        spec, report = checkpoint.spec, checkpoint.report
        gflops = count_gflops(checkpoint.network, spec.input_size)
        millions = None if checkpoint.parameters is None else checkpoint.parameters / 1e6
        lines += [
            f"  paradigm    {spec.paradigm}",
            f"  backbone    {describe(spec.backbone)}",
            f"  keypoints   {len(spec.keypoints)} ({spec.keypoints.name})",
            f"  input size  {spec.input_size}",
            f"  parameters  {'unknown' if millions is None else f'{millions:.2f} M'}",
            "  GFLOPs      not counted: the network does not run in torch"
            if gflops is None
            else f"  GFLOPs      {gflops:.3f} (multiply-accumulates, one crop)",
            f"  tensors     {report.mapped} mapped"
            if spec.backbone.family not in EXPORTED
            else "  tensors     in the graph, which runs as it is",
        ]
        lines += [f"              {len(names)} dropped: {rule}" for rule, names in report.dropped]
    width = max((len(field) for field, _, _ in inspection.evidence), default=0)
    lines += ["", "  found, and why:"]
    lines += [
        f"    {field:{width}}  {_short(value)}  ({why})"
        for field, value, why in inspection.evidence
    ]
    lines += _said_of_its_making("    provenance", inspection.provenance)
    if inspection.problem is not None:
        lines += ["", f"  cannot be loaded: {inspection.problem}"]
    return "\n".join(lines)


def conversion_listing(source: Checkpoint, target: Path) -> str:
    """Return what was written, which fields were assumed, and how to use it."""
    from posebench.networks.backbones import describe

    spec = source.spec
    assumed = [field for field, _, why in source.evidence if why.startswith("assumed")]
    lines = [
        f"{source.path.name} -> {target} ({target.stat().st_size / 1e6:.1f} MB):"
        f" {describe(spec.backbone)}, {spec.paradigm}, {spec.input_size},"
        f" {len(spec.keypoints)} keypoints ({spec.keypoints.name})"
    ]
    if assumed:
        lines.append(f"assumed, because the file does not say: {', '.join(assumed)}")
    return "\n".join([*lines, f"evaluate it: posebench eval {target}"])


def _said_of_its_making(place: str, value: object, levels: int = _MOST_LEVELS) -> list[str]:
    """Return a line for each fact that a file tells of its making, such as each of its recipe."""
    if not levels or not isinstance(value, Mapping) or "sigmas" in value:
        return [f"{place}: {_short(value)}"]
    return [
        line
        for key, inner in value.items()
        for line in _said_of_its_making(f"{place}.{_short(key)}", inner, levels - 1)
    ]


def _short(value: object, limit: int = 100) -> str:
    """Return a value of a file in one short line, without what moves a cursor.

    A record with a name, such as a keypoint set, is shown by it.
    """
    value = value["name"] if isinstance(value, dict) and "name" in value else value
    text = one_line(str(value))
    return text if len(text) <= limit else f"{text[:limit]}…"


def check_listing(report: CheckReport) -> str:
    """Return what was checked and every finding, the worst first."""
    lines = [
        f"{report.annotations}: {'sound' if report.sound else 'NOT sound'}",
        f"  {report.image_count} images ({report.images_read} files read), "
        f"{report.person_count} persons, {report.instance_count} to evaluate, "
        f"keypoints {report.keypoint_set or 'unknown'}"
        + (f", {len(report.categories)} categories" if len(report.categories) > 1 else ""),
    ]
    if report.oracle is not None:
        name, value = next(iter(report.oracle.values.items()))
        unit = number_named(name).unit
        score = f"{name} {number_text(value, unit)} {unit.word}"
        lines.append(f"  ground truth as prediction: {score} ({report.oracle.evaluator})")
    for item in report.findings:
        lines.append(f"  {item.line}")
        if item.hint:
            lines.append(f"      {item.hint}")
    return "\n".join(lines)


def sigma_table(found: SigmaEstimates, files: Sequence[Path]) -> RenderableType:
    """Return sigmas with their intervals, those of built-in sets, and what they rest on."""
    header = ("keypoint", "sigma", "95 %", "built-in", "persons", "repeats")
    rows = [
        (
            each.keypoint,
            _sigma(each.sigma),
            NO_VALUE if each.low is None else f"{_sigma(each.low)} to {_sigma(each.high)}",
            _built_in(each.keypoint),
            str(each.persons),
            str(each.repeats),
        )
        for each in found.sigmas
    ]
    table = terminal_table(header, rows)
    return Group(table, *map(cell_text, _sigma_notes(found, files)))


def _sigma(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:.4f}"


def _built_in(keypoint: str) -> str:
    """Show the sigma of a built-in set for a keypoint of this name."""
    for each in KEYPOINT_SETS.values():
        if keypoint in each.keypoints:
            return f"{each.sigmas[each.keypoints.index(keypoint)]:g} ({each.name})"
    return NO_VALUE


def _sigma_notes(found: SigmaEstimates, files: Sequence[Path]) -> list[str]:
    pairs = "; left and right have one sigma" if found.keypoints.flip_pairs else ""
    notes = [
        f"{found.persons} persons in {found.images} images, labelled by at least two of "
        f"{len(files)} annotators",
        "sigma: square root of the mean squared distance of labels to their mean, divided by the "
        f"square root of the person's area, with n - 1 for n labels{pairs}",
    ]
    if found.replicates:
        notes.append(
            f"95 %: percentile interval, {found.replicates} resamples of images, seed {found.seed}"
        )
        if found.images < FEW_IMAGES:
            notes.append(f"with {found.images} images, intervals are too narrow to be trusted")
    notes += [
        f"{path}: {count} persons that nobody else labelled, left out"
        for path, count in zip(files, found.alone, strict=True)
        if count
    ]
    if few := [each.keypoint for each in found.sigmas if each.repeats < ENOUGH_REPEATS]:
        notes.append(
            f"fewer than {ENOUGH_REPEATS} repeats, which make a sigma sure to about 10 %: "
            f"{', '.join(few)}"
        )
    if odd := [each for each in found.farthest if each.distance > _ODD]:
        said = "; ".join(f"{each.image} {each.keypoint} {each.distance:.1f}" for each in odd)
        notes.append(
            f"labels farthest from their mean, perhaps mistakes or sides exchanged: {said}"
        )
    return notes


def known_table() -> TextTable:
    """Return the table of known data sets."""
    rows = []
    for name in known_names():
        known = known_dataset(name)
        scored = scored_by(known.kind, known.distances)
        main = [recipe.name for recipe in scored if _is_main(recipe)]
        shown = ", ".join(main[:_MOST_SHOWN]) + (", …" if len(main) > _MOST_SHOWN else "")
        count = len(KEYPOINT_SETS[known.keypoints])
        rows.append([name, known.title, str(count), shown, known.boxes])
    headers = ("name", "data set", "K", "scored by", "boxes")
    return terminal_table(headers, rows, [header for header in headers if header != "K"])


def _is_main(recipe: MatchMetric | DistanceMetric) -> bool:
    """Tell whether a number is one that tables begin with: AP, or any by distance."""
    if isinstance(recipe, DistanceMetric):
        return True
    return recipe.name.partition("(")[0] == AP and recipe.subset == Subset()


def known_listing(known: KnownDataset) -> str:
    """Return everything that the record of a data set says, a line or a few each."""
    keypoints, layout = KEYPOINT_SETS[known.keypoints], known.layout
    names = keypoints.keypoints
    pairs = ", ".join(f"{names[one]}/{names[other]}" for one, other in keypoints.flip_pairs)
    scored = [recipe.name for recipe in scored_by(known.kind, known.distances)]
    sides = None if known.distances is None else known.distances.face_size
    splits = [f"{word} means {part}" for word, part in layout.splits.items()]
    facts: list[tuple[str, str | None]] = [
        ("scored by", f"{', '.join(scored)} ({EVALUATORS[known.kind]})"),
        ("relative to", _BOX_SIDE if sides == "box" else sides and " to ".join(sides)),
        ("boxes", known.boxes),
        ("areas", {"annotation": "of the annotation", "box": "0.53 of the box"}[known.area_rule]),
        ("keypoints", f"{len(names)} ({keypoints.name}): {', '.join(names)}"),
        ("sigmas", f"{known.sigmas}: {', '.join(f'{value:g}' for value in keypoints.sigmas)}"),
        ("mirrored", pairs or "none trades places"),
        ("folders", f"{', '.join(layout.folders)} below --data-root, or that folder itself"),
        ("annotations", " or ".join(layout.annotations)),
        ("images", " or ".join(layout.images)),
        ("--split", "; ".join(splits) or "as in the names of the files"),
        ("licence", known.licence),
        ("from", known.home),
        ("source", known.source),
        ("note", known.note),
    ]
    lines = [f"{known.name}: {known.title}"]
    return "\n".join([*lines, *(f"  {name + ':':13}{text}" for name, text in facts if text)])
