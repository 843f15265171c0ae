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
from .coco import (
    load_categories as load_categories,
)
from .findings import Finding as Finding
from .image_files import dataset_image as dataset_image
from .images import ImageReading as ImageReading
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
from .rules import LoadOptions as LoadOptions
from .survey import data_findings as data_findings
