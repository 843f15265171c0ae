"""The keypoint set of an MMPose file: its `meta["dataset_meta"]`, or its config's data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from posebench.checkpoints.findings import Finding, keypoints_value
from posebench.checkpoints.parsing.rebuilding import NumpyArray
from posebench.checkpoints.publishers import mmpose0
from posebench.checkpoints.publishers.mmconfig import lookup
from posebench.datasets.keypoints import KEYPOINT_SETS, KeypointSet
from posebench.errors import CheckpointError, SpecError

Config = Mapping[str, Any]
_DATASETS = {
    "CocoDataset": "coco",
    "HumanArtDataset": "coco",
    "OCHumanDataset": "coco",
    "CrowdPoseDataset": "crowdpose",
    "AicDataset": "aic",
    "MpiiDataset": "mpii",
    "CocoWholeBodyDataset": "coco-wholebody",
    "UBody2dDataset": "coco-wholebody",
    "CocoWholeBodyFaceDataset": "coco-wholebody-face",
    "CocoWholeBodyHandDataset": "hand21",
    "OneHand10KDataset": "hand21",
    "FreiHandDataset": "hand21",
    "Face300WDataset": "300w",
    "WFLWDataset": "wflw",
    "COFWDataset": "cofw",
    "AFLWDataset": "aflw",
    "AP10KDataset": "ap10k",
    "AnimalPoseDataset": "animalpose",
    "JhmdbDataset": "jhmdb",
    "ExlposeDataset": "exlpose",
    **mmpose0.DATA_SETS,
}
# The same, by file name in MMPose's `configs/_base_/datasets`, which a config may point to.
_METAINFO = {
    "coco": "coco",
    "humanart": "coco",
    "ochuman": "coco",
    "crowdpose": "crowdpose",
    "aic": "aic",
    "mpii": "mpii",
    "halpe26": "halpe26",
    "coco_wholebody": "coco-wholebody",
    "ubody2d": "coco-wholebody",
    "coco_wholebody_face": "coco-wholebody-face",
    "coco_wholebody_hand": "hand21",
    "onehand10k": "hand21",
    "freihand2d": "hand21",
    **{name: name for name in ("300w", "wflw", "cofw", "aflw")},
    **{name: name for name in ("ap10k", "animalpose", "jhmdb", "exlpose")},
}
# MMPose stores sigmas as float32; rounding back gives the constants they were written as.
_SIGMA_TOLERANCE = 1e-6
_HINT = (
    "Give --spec FILE.yaml with the right keypoints: a built-in set, or a YAML file of your own."
)


def find_keypoints(dataset_meta: Any, config: Config, count: int) -> tuple[Finding, ...]:
    """Return the keypoint set of `meta["dataset_meta"]`, or of the config's data set type.

    If that set is not built in, the finding's value is None and its reason says so. Raises
    `CheckpointError` if it has another number of keypoints than the head.
    """
    if isinstance(dataset_meta, Mapping) and "keypoint_id2name" in dataset_meta:
        keypoints, why = _keypoint_set(dataset_meta), "meta.dataset_meta"
    else:
        old = mmpose0.is_old(config)
        place = "data.test" if old else "test_dataloader.dataset"
        kind = lookup(config, f"{place}.type")
        own = None if old else lookup(config, f"{place}.metainfo")
        if own is not None:
            # A 1.x config may replace its data set's own keypoint set.
            name, what = (
                _METAINFO.get(_file_stem(own)),
                f"metainfo {_file_stem(own) or 'of its own'}",
            )
        elif isinstance(kind, str):
            name, what = _DATASETS.get(kind.rpartition(".")[2]), f"data set {kind}"
        else:
            return ()
        why = f"meta.cfg {what}"
        if name is None:
            return (Finding("keypoints", None, f"{why}: its keypoints are not a built-in set"),)
        keypoints = KEYPOINT_SETS[name]
    if len(keypoints) != count:
        raise CheckpointError(
            f"The head has {count} outputs, {why} names {len(keypoints)} keypoints.", hint=_HINT
        )
    return (Finding("keypoints", keypoints_value(keypoints), why),)


def _file_stem(metainfo: Any) -> str:
    """Return the name of the file that a `metainfo` refers to; empty if it refers to none."""
    path = metainfo.get("from_file") if isinstance(metainfo, Mapping) else None
    return PurePosixPath(path).stem if isinstance(path, str) else ""


def _keypoint_set(dataset_meta: Mapping[str, Any]) -> KeypointSet:
    """Return the keypoint set of a `dataset_meta`; if it equals a built-in set, return that one."""
    by_index, sigmas = dataset_meta["keypoint_id2name"], dataset_meta.get("sigmas")
    flips = dataset_meta.get("flip_indices")
    if isinstance(sigmas, NumpyArray):
        sigmas = None if sigmas.values is None else sigmas.values
    try:
        names = tuple(str(by_index[index]) for index in range(len(by_index)))
        constants = np.asarray(sigmas, dtype=np.float64)
        with np.errstate(over="ignore"):
            single = constants.astype(np.float32)
        for known in KEYPOINT_SETS.values():
            # Some sets have no published sigmas, and those of posebench are as good as none.
            if known.keypoints == names and (
                not constants.size
                or np.allclose(known.sigmas, constants, rtol=0, atol=_SIGMA_TOLERANCE)
            ):
                return known
        partners = [int(index) for index in flips]  # type: ignore[union-attr]
        return KeypointSet(
            name=str(dataset_meta.get("dataset_name", "custom")),
            keypoints=names,
            sigmas=tuple(float(str(sigma)) for sigma in single),
            flip_pairs=tuple((i, j) for i, j in enumerate(partners) if i < j),
        )
    except (KeyError, OverflowError, TypeError, ValueError, SpecError) as error:
        raise CheckpointError(f"meta.dataset_meta cannot be used: {error}.", hint=_HINT) from None
