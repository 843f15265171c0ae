"""The findings shown before a run's numbers: on annotations, images and boxes."""

from __future__ import annotations

from collections.abc import Iterable

from posebench.datasets.boxes import box_findings
from posebench.datasets.checks.findings import Finding, worst_first
from posebench.datasets.coco import Instances, PoseDataset
from posebench.datasets.images.files import image_findings
from posebench.errors import DataError


def data_findings(dataset: PoseDataset, instances: Instances | None = None) -> tuple[Finding, ...]:
    """Return every finding on a data set, its image files and its boxes, worst first.

    `instances` are those of a run; ground-truth boxes are checked with their annotations. Only
    headers of image files are read, so that every run can afford the check.
    """
    found = [*dataset.findings, *image_findings(dataset)]
    if instances is not None and instances.keypoints is None:
        found += box_findings(dataset, instances)
    return tuple(worst_first(found))


def raise_errors(findings: Iterable[Finding], where: object) -> None:
    """Raise `DataError` for the first finding that is an error, if any is.

    An unreadable image does not count: the cells that need it fail by themselves.
    """
    errors = [
        item for item in findings if item.level == "error" and item.kind != "images-unreadable"
    ]
    if errors:
        more = f" ({len(errors) - 1} more kinds of error.)" if len(errors) > 1 else ""
        raise DataError(
            f"The data of {where} cannot be used. {errors[0]}{more}",
            hint=errors[0].hint or "`posebench data check` lists everything.",
        )
