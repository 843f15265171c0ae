"""Predictions as a COCO file that FiftyOne imports (`COCODetectionDataset`, keypoints).

The third number of a keypoint is a visibility there, so scores stand beside the keypoints. FiftyOne
itself is not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from posebench.datasets.coco import PoseDataset
from posebench.errors import DataError
from posebench.files.writing import naming_what_cannot_be_written, write_json
from posebench.reporting.exports.cells import ExportedRun, file_word, numbers_in_units, settings_of
from posebench.reporting.page.people.instances import load_run_data
from posebench.results.store import StoredCell


def write(exported: ExportedRun) -> list[str]:
    """Write a COCO file for each cell; return their names.

    Raises `DataError` if predictions were not kept, the data are gone, or a file cannot be written.
    """
    data, folder, lines = load_run_data(exported.run), exported.folder(), []
    for cell in exported.cells:
        dataset = data.of(cell)
        if dataset is None:
            raise DataError(
                f"The images of {cell.id} are listed in its annotations, which are not there. "
                + " ".join(data.problems),
                hint="Put the data where they were when the run was made.",
            )
        path = folder / f"{file_word(cell.id)}.json"
        document = _document(cell, dataset, exported.coco_results(cell))
        with naming_what_cannot_be_written(path):
            write_json(path, document)
        lines.append(f"{path}: images in {_common_folder(dataset)}")
    return lines


def _document(cell: StoredCell, dataset: PoseDataset, rows: list[dict[str, Any]]) -> dict[str, Any]:
    keypoints = dataset.keypoints
    return {
        "info": {"settings": settings_of(cell), "numbers": numbers_in_units(cell)},
        "images": [
            {key: row[key] for key in ("id", "file_name", "width", "height")}
            for row in dataset.raw["images"]
        ],
        "categories": [
            {
                "id": dataset.category.id,
                "name": dataset.category.name or "person",
                "keypoints": list(keypoints.keypoints),
            }
        ],
        "annotations": [_annotation(number, row) for number, row in enumerate(rows, 1)],
    }


def _annotation(number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    points = row["keypoints"]
    flagged = [part for x, y in zip(points[::3], points[1::3], strict=True) for part in (x, y, 2)]
    _, _, width, height = row["bbox"]
    return {
        "id": number,
        "image_id": row["image_id"],
        "category_id": row["category_id"],
        "keypoints": flagged,
        "num_keypoints": len(flagged) // 3,
        "keypoint_scores": points[2::3],
        "bbox": row["bbox"],
        "area": width * height,
        "score": row["score"],
        "iscrowd": 0,
    }


def _common_folder(dataset: PoseDataset) -> str:
    """Return the folder that the images' file names are relative to."""
    first, name = dataset.images[0].path, dataset.raw["images"][0]["file_name"]
    return str(first).removesuffix(name).rstrip("/") or "."
