"""What `posebench inspect`, `posebench convert` and `posebench data check` print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posebench.reporting.escaping import one_line
from posebench.reporting.texts import points

if TYPE_CHECKING:
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
    lines += [
        f"    provenance.{_short(key)}: {_short(value)}"
        for key, value in inspection.provenance.items()
    ]
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
        score = points(report.oracle.values["AP"])
        lines.append(f"  ground truth as prediction: AP {score} points ({report.oracle.evaluator})")
    for item in report.findings:
        lines.append(f"  {item.line}")
        if item.hint:
            lines.append(f"      {item.hint}")
    return "\n".join(lines)
