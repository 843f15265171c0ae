"""Results as COCO's evaluation server takes them (cocodataset.org, "Results format").

`person_keypoints_[testset]_[alg]_results.json`, with image_id, category_id, keypoints and score of
each result, and the same in a zip of that name.
"""

from __future__ import annotations

import json
import zipfile

from posebench.files.writing import naming_what_cannot_be_written, write_text
from posebench.reporting.exports.cells import ExportedRun, file_word, split_of

_FIELDS = ("image_id", "category_id", "keypoints", "score")
_YEAR = "2017"


def write(exported: ExportedRun) -> list[str]:
    """Write a results file and its zip for each cell; return their names.

    Raises `DataError` if predictions were not kept or a file cannot be written.
    """
    folder, lines = exported.folder(), []
    for cell in exported.cells:
        rows = [{key: row[key] for key in _FIELDS} for row in exported.coco_results(cell)]
        testset = testset_of(cell.result.protocol.dataset, split_of(exported.run, cell))
        stem = f"person_keypoints_{testset}_{file_word(cell.id)}_results"
        text = json.dumps(rows, allow_nan=False)
        path = folder / f"{stem}.json"
        with naming_what_cannot_be_written(path):
            write_text(path, text)
            with zipfile.ZipFile(path.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(path.name, text)
        lines.append(f"{path}, and as .zip: {len(rows)} results")
    return lines


def testset_of(dataset: str, split: str | None) -> str:
    """Return a data set as the server names it: `val2017` of COCO, else the set's own name."""
    if dataset != "coco" or split is None:
        return file_word(dataset)
    return split if split[-4:].isdigit() else split + _YEAR
