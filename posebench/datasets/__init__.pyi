from .boxes import detected_instances as detected_instances
from .checks.findings import Finding as Finding
from .checks.survey import data_findings as data_findings
from .choices import BoxFilter as BoxFilter
from .coco import (
    Instances as Instances,
    PoseDataset as PoseDataset,
    ground_truth_instances as ground_truth_instances,
    load_annotations as load_annotations,
    load_categories as load_categories,
)
from .images.files import dataset_image as dataset_image
from .images.reading import read_image as read_image
from .images.rules import ImageReading as ImageReading
from .keypoints import (
    KEYPOINT_SETS as KEYPOINT_SETS,
    KeypointSet as KeypointSet,
    load_keypoint_set as load_keypoint_set,
)
from .known.record import (
    KnownDataset as KnownDataset,
    known_dataset as known_dataset,
    known_names as known_names,
)
from .requests import DataRequest as DataRequest, load_pose_dataset as load_pose_dataset
from .rules import LoadOptions as LoadOptions
