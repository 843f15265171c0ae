from .boxes import BoxFilter as BoxFilter
from .boxes import detected_instances as detected_instances
from .coco import (
    Instances as Instances,
)
from .coco import (
    PoseDataset as PoseDataset,
)
from .coco import (
    ground_truth_instances as ground_truth_instances,
)
from .coco import (
    load_annotations as load_annotations,
)
from .images import read_image as read_image
from .keypoints import (
    KEYPOINT_SETS as KEYPOINT_SETS,
)
from .keypoints import (
    KeypointSet as KeypointSet,
)
from .keypoints import (
    load_keypoint_set as load_keypoint_set,
)
from .requests import DataRequest as DataRequest
from .requests import load_pose_dataset as load_pose_dataset
