"""The procedural synthetic data set: people rendered from a seed, the same on every machine."""

from posebench.datasets.synthetic.coco import (
    SPLITS,
    SceneRecord,
    Split,
    coco_annotations,
    keypoints_of,
    write_dataset,
)
from posebench.datasets.synthetic.scene import (
    LEVELS,
    RENDERER_VERSION,
    SyntheticPerson,
    SyntheticScene,
    crowd_index,
    render_scene,
    renderer_name,
)

__all__ = [
    "LEVELS",
    "RENDERER_VERSION",
    "SPLITS",
    "SceneRecord",
    "Split",
    "SyntheticPerson",
    "SyntheticScene",
    "coco_annotations",
    "crowd_index",
    "keypoints_of",
    "render_scene",
    "renderer_name",
    "write_dataset",
]
