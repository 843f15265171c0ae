"""COCO-WholeBody's evaluator: xtcocotools, once for each part of the body."""

from __future__ import annotations

import contextlib
import copy
import importlib.metadata
import io
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from posebench.datasets.coco import PoseDataset
from posebench.errors import EvaluationError
from posebench.scoring.official_crowdpose import import_xtcocotools
from posebench.scoring.whole_body.parts import BODY_PARTS, WHOLE_FAMILY, split

Rows = list[dict[str, Any]]


def score_whole_body(
    dataset: PoseDataset,
    truth: dict[str, Any],
    results: Rows,
    indexed: Callable[[dict[str, Any], Rows], tuple[Any, Any]],
) -> tuple[list[float], str]:
    """Return the ten numbers of the whole and then of each part, and the package with its version.

    `truth` is the ground truth in COCO's format with 133 keypoints, `indexed` makes pycocotools'
    objects. Raises `EvaluationError` if xtcocotools is not installed.
    """
    module = whole_body_evaluator()
    annotated = {**truth, "annotations": list(map(split, truth["annotations"]))}
    rows = list(map(split, results))
    sigmas = np.asarray(dataset.keypoints.sigmas)
    families = {WHOLE_FAMILY: sigmas}
    families |= {part.family: sigmas[part.keypoints] for part in BODY_PARTS.values()}
    stats = list[float]()
    for family, constants in families.items():
        with (
            contextlib.redirect_stdout(io.StringIO()),
            np.errstate(all="ignore"),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", UserWarning)  # results may have no part's score
            objects = indexed(copy.deepcopy(annotated), rows)
            for each in objects:
                each.anno_file = [None, None]
            evaluation = module.COCOeval(*objects, family, constants, use_area=True)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        stats += [float(value) for value in evaluation.stats]
    return stats, f"xtcocotools {importlib.metadata.version('xtcocotools')}"


def whole_body_evaluator() -> ModuleType:
    """Import xtcocotools.

    Raises `EvaluationError` if it is not installed.
    """
    try:
        return import_xtcocotools()
    except ImportError:
        raise EvaluationError(
            "COCO-WholeBody's evaluator is xtcocotools, which is not installed.",
            hint="It has wheels up to Python 3.11: pip install xtcocotools.",
        ) from None
