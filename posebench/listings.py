"""What `posebench inspect` and `posebench data check` print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posebench.tables import points

if TYPE_CHECKING:
    from posebench.checkpoints import Inspection
    from posebench.data_check import CheckReport


def inspection_listing(inspection: Inspection) -> str:
    """Return the fields found, why, the size of the network, and the fate of the tensors."""
    lines = [
        f"{inspection.path}",
        f"  publisher   {inspection.publisher}",
        f"  sha256      {inspection.sha256}",
    ]
    checkpoint = inspection.checkpoint
    if checkpoint is not None:
        from posebench.backbones import describe
        from posebench.model import count_gflops

        spec, report = checkpoint.spec, checkpoint.report
        gflops = count_gflops(checkpoint.network, spec.input_size)
        millions = None if checkpoint.parameters is None else checkpoint.parameters / 1e6
        lines += [
            f"  paradigm    {spec.paradigm}",
            f"  backbone    {describe(spec.backbone)}",
            f"  keypoints   {len(spec.keypoints)} ({spec.keypoints.name})",
            f"  input size  {spec.input_size}",
            f"  parameters  {'unknown' if millions is None else f'{millions:.2f} M'}",
            f"  GFLOPs      {'unknown' if gflops is None else f'{gflops:.3f}'}"
            " (multiply-accumulates, one crop)",
            f"  tensors     {report.mapped} mapped",
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


def _short(value: object, limit: int = 100) -> str:
    """Return a value of a file in one short line, without what moves a cursor."""
    text = "".join(c if c.isprintable() else " " for c in str(value))
    return text if len(text) <= limit else f"{text[:limit]}…"


def check_listing(report: CheckReport) -> str:
    """Return what was checked and every finding, the worst first."""
    lines = [
        f"{report.annotations}: {'sound' if report.sound else 'NOT sound'}",
        f"  {report.image_count} images ({report.images_read} files read), "
        f"{report.person_count} persons, {report.instance_count} to evaluate, "
        f"keypoints {report.keypoint_set or 'unknown'}",
    ]
    if report.oracle is not None:
        score = points(report.oracle.values["AP"])
        lines.append(f"  ground truth as prediction: AP {score} points ({report.oracle.evaluator})")
    for item in report.findings:
        lines.append(f"  {item.level}: {item}")
        if item.hint:
            lines.append(f"      {item.hint}")
    return "\n".join(lines)
