"""Measure how far posebench is from the original repositories, and print it as Markdown.

POSEBENCH_ORIGINALS=CHECKOUTS python tests/parity/originals_report.py --out originals.md
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from comparison import largest, undecided
from numpy.typing import NDArray
from original_repositories import (
    BATCH,
    HRNET,
    SIMCC,
    SIMPLE_BASELINE,
    Case,
    OriginalRun,
    checkouts,
    commit_of,
    run_original,
)
from outside_files import NO_TEST_DATA, real_data_folder

from posebench.checkpoints import load_checkpoint
from posebench.datasets.coco import Instances, PoseDataset, ground_truth_instances, load_annotations
from posebench.datasets.images.reading import read_image
from posebench.datasets.keypoints import KEYPOINT_SETS
from posebench.files.writing import write_text
from posebench.networks.codecs import decode_by, own_decoder
from posebench.networks.sizes import InputSize
from posebench.networks.spec import ModelSpec
from posebench.prediction.crops import crop_image
from posebench.prediction.flip import predict_outputs
from posebench.prediction.geometry import boxes_to_center_scale, input_to_image
from posebench.reporting.text_tables import markdown_table

Outputs = Sequence[NDArray[np.float32]]
_RES, _HR = "coco/resnet/simdr", "coco/hrnet"
_UPSAMPLE_FREE = f"{_RES}/upsample_free/nmt_res50_"
CASES = (
    Case(HRNET, f"{_HR}/w32_256x192_adam_lr1e-3.yaml", "pose_hrnet_w32_256x192.pth"),
    Case(HRNET, f"{_HR}/w48_384x288_adam_lr1e-3.yaml", "pose_hrnet_w48_384x288.pth", 4),
    Case(
        HRNET,
        "mpii/hrnet/w32_256x256_adam_lr1e-3.yaml",
        "pose_hrnet_w32_256x256.pth",
        keypoints="mpii",
    ),
    Case(HRNET, "coco/resnet/res50_256x192_d256x3_adam_lr1e-3.yaml", "pose_resnet_50_256x192.pth"),
    Case(
        SIMPLE_BASELINE,
        "coco/resnet101/256x192_d256x3_adam_lr1e-3.yaml",
        "pose_resnet_101_256x192.pth.tar",
    ),
    Case(
        SIMPLE_BASELINE,
        "coco/resnet50/256x192_d256x3_adam_lr1e-3_caffe.yaml",
        "pose_resnet_50_caffe_256x192.pth.tar",
    ),
    Case(SIMCC, f"{_RES}/original/nmt_res50_256x192_d256x3_adam_lr1e-3_deconv3_split2.yaml", ""),
    Case(
        SIMCC, f"{_RES}/original/nmt_res50_128x128_d256x3_adam_lr1e-3_split_3_deconv3.yaml", "", 24
    ),
    Case(SIMCC, f"{_UPSAMPLE_FREE}256x192_d256x3_adam_lr1e-3_split_2_cpj28.yaml", ""),
    Case(SIMCC, f"{_UPSAMPLE_FREE}64x64_d256x3_adam_lr1e-3_split_3_cpj32.yaml", "", 24),
    Case(SIMCC, f"{_HR}/simdr/nmt_w32_64x64_adam_lr1e-3.yaml", "", 24),
    Case(
        SIMCC,
        "coco/resnet/sa_simdr/original/res50_384x288_d256x3_adam_lr1e-3_deconv3_split2_sigma6.yaml",
        "",
        4,
    ),
    Case(SIMCC, f"{_HR}/sa_simdr/w48_256x192_adam_lr1e-3_split2_sigma4.yaml", ""),
    Case(SIMCC, f"{_HR}/sa_simdr/w48_384x288_adam_lr1e-3_split1_5_sigma4.yaml", "", 4),
)
COLUMNS = (
    "repository", "test config", "flip", "instances", "crops that differ", "by grey levels",
    "raw, relative", "decoded, relative", "keypoint, px", "ties / keypoints", "score",
)  # fmt: skip
NOTES = """\
Each repository's own model code and its own validation function ran on checkpoints of seeded
weights (BatchNorm statistics of the first crops), with its own crops of ground-truth boxes of
coco-mini; posebench loaded the file that the repository wrote, and ran on the same inputs. *raw*
are the networks' outputs, *decoded* those after flip average and softmax, both relative to the
largest value; *keypoint* and *score* are after decoding, in image pixels. *Ties* are keypoints
whose answer twice the difference of the decoded outputs could move; they are left out of
*keypoint*.

Crops differ where the padded box, which the repositories compute in another order and in units of
200 pixels, rounds differently: `cv2.warpAffine` samples at 1/32 of a pixel, and the next 32nd can
be 8 grey levels off. The repositories divide pixels by 255 before they normalise, which moves an
input by up to 1e-6.

Not compared, as they are no part of a checkpoint: the repositories' ground-truth boxes are a pixel
narrower and lower than MMPose's (`x2 = x1 + w - 1`), they read images without EXIF rotation, and
their results files have no `bbox`, so that AP(M) and AP(L) take the area of the keypoints."""
LIMITS = {"crop": 8.0, "raw": 1e-4, "decoded": 1e-4, "keypoint": 0.01, "score": 1e-4}


@dataclass(frozen=True)
class OriginalRow:
    """One comparison; differences are maxima of absolute values.

    `crop` in grey levels, in `other_crops` crops. From the repository's inputs on: `raw` of the
    networks' outputs, `decoded` of what flip average and softmax made of them, both relative to the
    largest; `keypoint` in pixels, without `ties` keypoints whose answer hangs on less than the
    difference of what was decoded.
    """

    case: Case
    flip: bool
    instances: int
    other_crops: int
    crop: float
    raw: float
    decoded: float
    keypoint: float
    ties: int
    keypoints: int
    score: float


def few_instances(data: Path, count: int) -> tuple[PoseDataset, Instances]:
    """Return a COCO data set and `count` of its ground-truth boxes, spread over it."""
    annotations = data / "annotations" / "person_keypoints_val2017.json"
    dataset = load_annotations(annotations, data / "val2017")
    instances = ground_truth_instances(dataset)
    rows = np.linspace(0, len(instances) - 1, min(count, len(instances))).astype(int)
    return dataset, Instances(
        image_index=instances.image_index[rows],
        ids=instances.ids[rows],
        bbox_xyxy=instances.bbox_xyxy[rows],
        bbox_scores=instances.bbox_scores[rows],
    )


def compare(case: Case, folder: Path, data: Path, flip: bool) -> OriginalRow:
    """Run a case through the repository's own test and through posebench."""
    case = replace(case, file=case.file or f"{Path(case.config).stem}.pth")
    dataset, instances = few_instances(data, case.instances)
    labels = KEYPOINT_SETS[case.keypoints]
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / case.file
        original = run_original(case, folder, (dataset, instances), labels, path, flip)
        network = load_checkpoint(path).network
    batches = torch.split(original.inputs, BATCH)
    with torch.inference_mode():
        raw = joined([network(batch) for batch in batches[:1]])
        decoded = joined([predict_outputs(network, batch, flip) for batch in batches])
    keypoints, scores = image_keypoints(network.spec, decoded, instances)
    decoded_gap = relative_gap(decoded, original.decoded)
    crops = crop_gaps(original, dataset, instances)
    margin = 2 * decoded_gap * max(map(largest, original.decoded))
    ties = undecided(original.decoded, margin)
    moved = np.abs(keypoints - original.keypoints).max(axis=-1)
    return OriginalRow(
        case=case,
        flip=flip,
        instances=len(instances),
        other_crops=int((crops > 0).sum()),
        crop=crops.max(),
        raw=relative_gap(raw, [output[:BATCH] for output in original.raw]),
        decoded=decoded_gap,
        keypoint=float(moved[~ties].max(initial=0.0)),
        ties=int(ties.sum()),
        keypoints=ties.size,
        score=largest(scores - original.scores),
    )


def joined(batches: list[tuple[torch.Tensor, ...]]) -> Outputs:
    """Return the outputs of all batches as one."""
    return [torch.cat(parts).numpy() for parts in zip(*batches, strict=True)]


def image_keypoints(
    spec: ModelSpec, decoded: Outputs, instances: Instances
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return posebench's keypoints (N, K, 2) in image pixels and scores (N, K)."""
    found = decode_by(own_decoder(spec.codec), spec.codec, tuple(decoded), spec.input_size)
    boxes = boxes_to_center_scale(instances.bbox_xyxy, spec.input_size, spec.crop.padding)
    return input_to_image(found.keypoints, *boxes, spec.input_size), found.scores


def relative_gap(ours: Outputs, theirs: Outputs) -> float:
    """Return the largest difference of two networks' outputs over the largest output."""
    gap = max(largest(one - other) for one, other in zip(ours, theirs, strict=True))
    return gap / max(map(largest, theirs))


def crop_gaps(
    original: OriginalRun, dataset: PoseDataset, instances: Instances
) -> NDArray[np.float64]:
    """Return the largest difference of a pixel of each crop (N,), in grey levels."""
    size = InputSize(*original.crops.shape[1:3])
    center, scale = boxes_to_center_scale(instances.bbox_xyxy, size, 1.25)
    gaps = []
    for row, index in enumerate(instances.image_index):
        image = read_image(dataset.images[index].path)
        crop = crop_image(image, center[row], scale[row], size, udp=False)
        gaps.append(largest(crop.astype(np.int64) - original.crops[row]))
    return np.array(gaps)


def within_limits(row: OriginalRow) -> bool:
    """Tell whether a row meets every limit of the parity claim."""
    return all(getattr(row, name) <= limit for name, limit in LIMITS.items())


def markdown(rows: list[OriginalRow], folder: Path) -> str:
    """Return the report."""
    good = sum(map(within_limits, rows))
    lines = [
        "# Parity with the HRNet, SimpleBaseline and SimCC repositories",
        "",
        f"{good} of {len(rows)} rows are within the limits: crops within 8 grey levels, outputs"
        " within 1e-4 of the"
        " largest one, keypoints within 0.01 px where the peak is no tie, scores within 1e-4.",
        "",
        *markdown_table(COLUMNS, [*map(table_row, rows)], words=3),
    ]
    commits = [f"{name} {commit_of(folder / name)}" for name in (HRNET, SIMPLE_BASELINE, SIMCC)]
    return "\n".join([*lines, "", NOTES, "", f"Commits: {', '.join(commits)}.", ""])


def table_row(row: OriginalRow) -> tuple[str, ...]:
    """Return one row of the table, under `COLUMNS`."""
    return (
        row.case.repository,
        row.case.config.removesuffix(".yaml"),
        "on" if row.flip else "off",
        str(row.instances),
        str(row.other_crops),
        f"{row.crop:.0f}",
        f"{row.raw:.1e}",
        f"{row.decoded:.1e}",
        f"{row.keypoint:.1e}",
        f"{row.ties} / {row.keypoints}",
        f"{row.score:.1e}",
    )


def main() -> None:
    """Run every case and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    folder, data = checkouts(), real_data_folder()
    if data is None:
        parser.error(NO_TEST_DATA)
    if folder is None:
        parser.error("set POSEBENCH_ORIGINALS to the folder of the three checkouts")
    torch.set_num_threads(1)
    rows = []
    for case in CASES:
        for flip in (False, True):
            rows.append(compare(case, folder, data / "data" / "coco-mini", flip))
            print(rows[-1], flush=True)
    write_text(arguments.out, markdown(rows, folder))


if __name__ == "__main__":
    main()
