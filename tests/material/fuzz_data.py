"""Annotations, boxes and results damaged at random: a message, or pycocotools' own number."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
from fuzzed_files import damaged, pycocotools_says, sound_files

from posebench.datasets.boxes import detected_instances
from posebench.datasets.checks.survey import data_findings
from posebench.datasets.coco import load_dataset
from posebench.datasets.rules import LoadOptions
from posebench.errors import PosebenchError
from posebench.scoring.data_check import CheckOptions, check_dataset
from posebench.scoring.diagnosis.files import DiagnosisRequest, diagnose_files
from posebench.scoring.files import ScoreRequest, score_files
from posebench.scoring.official import COCO_METRICS
from posebench.scoring.statistics.estimates import Resampling

NO_INTERVALS = Resampling(replicates=0)
# One of so many cases is diagnosed too, which takes longest.
DIAGNOSED = 20


def try_data(folder: Path, seed: int) -> tuple[str, ...]:
    """Damage one of three files and use all; return whether they were scored and compared."""
    rng = np.random.default_rng(seed)
    files = sound_files(rng)
    victim = rng.choice(sorted(files))
    files[victim] = damaged(rng, files[victim], int(rng.integers(1, 4)))
    paths = {name: folder / f"{name}.json" for name in files}
    for name, path in paths.items():
        path.write_text(json.dumps(files[name]))
    with contextlib.suppress(PosebenchError):
        check = check_dataset(paths["annotations"], CheckOptions(boxes=paths["boxes"]))
        assert all(str(item) and item.level and len(item.line) < 2000 for item in check.findings)
    with contextlib.suppress(PosebenchError):
        dataset = load_dataset(paths["annotations"], folder, LoadOptions(category="1"))
        data_findings(dataset, detected_instances(dataset, paths["boxes"]))
    if seed % DIAGNOSED == 0:
        with contextlib.suppress(PosebenchError):
            files_of = ((paths["results"],), paths["annotations"])
            diagnose_files(DiagnosisRequest(*files_of, replicates=5))
    try:
        request = ScoreRequest((paths["results"],), paths["annotations"], resampling=NO_INTERVALS)
        report = score_files(request)
    except PosebenchError as error:
        assert len(str(error)) < 3000
        return ()
    theirs = pycocotools_says(files["annotations"], files["results"])
    if theirs is None or "category-unlisted" in " ".join(report.data.findings):
        return ("used",)
    ours = [item.value for item in report.scores[0].metrics.values()]
    for name, own, their in zip(COCO_METRICS, ours, theirs, strict=True):
        assert abs((-1 if own is None else own) - their) < 1e-10, (name, own, their)
    return ("used", "compared")
