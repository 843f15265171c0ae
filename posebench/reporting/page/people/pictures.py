"""Drawings of the gallery: poses on a crop, and what a network answered for one keypoint."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from posebench.datasets.keypoints import KeypointSet
from posebench.networks.sizes import InputSize
from posebench.prediction.crops import crop_image
from posebench.prediction.geometry import boxes_to_center_scale
from posebench.reporting.page.people.svg import element, line, path, picture
from posebench.results.cell import CellResult

_HEIGHT = 224
_QUALITY = 70
# Share of the crop that the profiles of bins take up on their sides.
_PROFILE = 0.24


@dataclass(frozen=True, eq=False)
class CropView:
    """One person's crop as it is shown; `center` and `scale` (2,) are those of the padded box.

    `width` x `height` are the drawing's units and the image's pixels; `image` is its data URI.
    """

    width: int
    height: int
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    image: str

    def place(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Return points (..., 2) in image pixels in units of the drawing."""
        share = (np.asarray(points, dtype=np.float64) - self.center) / self.scale + 0.5
        placed: NDArray[np.float64] = share * (self.width, self.height)
        return placed


@dataclass(frozen=True, eq=False)
class Pose:
    """K keypoints (K, 2) in image pixels, which of them to draw (K,), and whose they are."""

    keypoints: NDArray[Any]
    shown: NDArray[np.bool_]
    class_: str


def crop_view(
    image_bgr: NDArray[np.uint8], bbox_xyxy: NDArray[Any], result: CellResult
) -> CropView:
    """Cut a person's padded box as a cell's network sees it, at the height of the gallery."""
    assert result.size is not None
    width = max(16, round(_HEIGHT * result.size.width / result.size.height))
    size = InputSize(_HEIGHT, width)
    padding = result.protocol.crop_padding or 1.25
    center, scale = boxes_to_center_scale(bbox_xyxy[None], result.size, padding)
    crop = crop_image(image_bgr, center[0], scale[0], size, udp=False)
    uri = _data_uri(crop, ".webp", [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    return CropView(width, _HEIGHT, center[0].astype(float), scale[0].astype(float), uri)


def draw_poses(
    view: CropView, name: str, keypoints: KeypointSet, truth: Pose, predicted: Pose
) -> Markup:
    """Draw ground truth and prediction, with a line from each keypoint to where it belongs."""
    told, meant = view.place(predicted.keypoints), view.place(truth.keypoints)
    errors = [path([told[k], meant[k]], "gap") for k in np.flatnonzero(truth.shown)]
    return picture(
        view.width,
        view.height,
        name,
        _image(view),
        *errors,
        _skeleton(meant, truth, keypoints),
        _skeleton(told, predicted, keypoints),
        class_="crop",
    )


_FILE_STYLE = (
    "image{image-rendering:auto}.bone,.gap{fill:none;stroke-linecap:round}"
    ".bone{stroke:currentColor;stroke-width:2}.joint{fill:currentColor;stroke:#000;"
    "stroke-width:.7}.gap{stroke:#ff5a8a;stroke-width:1}.truth{color:#fff}"
    ".truth .bone{stroke-dasharray:4 3.5;stroke-width:1.6}.model{display:none}"
    ".model:target{display:inline}"
)


def person_picture(
    view: CropView,
    keypoints: KeypointSet,
    truth: Pose,
    poses: Sequence[tuple[Pose, str]],
) -> str:
    """Return an SVG file of a person: ground truth and the pose that the file's fragment names.

    Each pose comes with its colour; its `class_` is the fragment, so that `p.svg#m0` shows one.
    """
    meant = view.place(truth.keypoints)
    groups = []
    for pose, colour in poses:
        told = view.place(pose.keypoints)
        errors = [path([told[k], meant[k]], "gap") for k in np.flatnonzero(truth.shown)]
        skeleton = _skeleton(told, pose, keypoints)
        groups.append(element("g", *errors, skeleton, id=pose.class_, class_="model", color=colour))
    return element(
        "svg",
        element("style", Markup(_FILE_STYLE)),
        _image(view),
        _skeleton(meant, truth, keypoints),
        *groups,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {view.width} {view.height}",
        width=view.width,
        height=view.height,
    )


def draw_heatmap(
    view: CropView, name: str, heatmap: NDArray[np.float32], udp: bool, marks: Mapping[str, Any]
) -> Markup:
    """Draw one keypoint's map (h, w) over the crop; `marks` are positions (2,) by class."""
    height, width = heatmap.shape
    # A cell's index lies on its share of the box: cells reach half a step to either side.
    steps = [
        side / max(cells - 1, 1) if udp else side / cells
        for side, cells in ((view.width, width), (view.height, height))
    ]
    low = np.clip(heatmap, 0, None)
    share = low / max(float(low.max()), 1e-12)
    colours = cv2.applyColorMap((255 * share).astype(np.uint8), cv2.COLORMAP_INFERNO)
    alpha = (40 + 215 * np.sqrt(share)).astype(np.uint8)
    layer = element(
        "image",
        href=_data_uri(np.dstack([colours, alpha]), ".png", []),
        x=-steps[0] / 2,
        y=-steps[1] / 2,
        width=steps[0] * width,
        height=steps[1] * height,
        preserveAspectRatio="none",
        class_="map",
    )
    return picture(
        view.width, view.height, name, _image(view), layer, *_spots(view, marks), class_="crop"
    )


def draw_profiles(
    view: CropView,
    name: str,
    bins_xy: tuple[NDArray[np.float32], NDArray[np.float32]],
    marks: Mapping[str, Any],
) -> Markup:
    """Draw one keypoint's x and y bins along the sides of the crop, each up to its own peak."""
    x, y = (np.clip(bins, 0, None) for bins in bins_xy)
    x, y = (bins / max(float(bins.max()), 1e-12) for bins in (x, y))
    deep = _PROFILE * view.height, _PROFILE * view.width
    across = np.arange(len(x)) / len(x) * view.width
    down = np.arange(len(y)) / len(y) * view.height
    shapes = [
        _area([(0.0, view.height), *zip(across, view.height - deep[0] * x, strict=True)],
              (float(view.width), float(view.height))),
        _area([(float(view.width), 0.0), *zip(view.width - deep[1] * y, down, strict=True)],
              (float(view.width), float(view.height))),
    ]  # fmt: skip
    guides = []
    for class_, position in marks.items():
        u, v = view.place(position)
        guides.append(line(u, v, u, view.height, f"guide {class_}"))
        guides.append(line(u, v, view.width, v, f"guide {class_}"))
    parts = (*shapes, *guides, *_spots(view, marks))
    return picture(view.width, view.height, name, _image(view), *parts, class_="crop")


def _area(points: list[tuple[float, float]], end: tuple[float, float]) -> Markup:
    corners = " ".join(f"{u:.1f},{v:.1f}" for u, v in [*points, end])
    return element("polygon", points=corners, class_="profile")


def _spots(view: CropView, marks: Mapping[str, Any]) -> list[Markup]:
    spots = []
    for class_, position in marks.items():
        u, v = view.place(position)
        spots.append(element("circle", cx=u, cy=v, r=4.5, class_=f"spot {class_}"))
    return spots


def _skeleton(placed: NDArray[np.float64], pose: Pose, keypoints: KeypointSet) -> Markup:
    bones = [
        path([placed[a], placed[b]], "bone")
        for a, b in keypoints.skeleton
        if pose.shown[a] and pose.shown[b]
    ]
    joints = [element("circle", cx=u, cy=v, r=2.2, class_="joint") for u, v in placed[pose.shown]]
    return element("g", *bones, *joints, class_=f"pose {pose.class_}")


def _image(view: CropView) -> Markup:
    return element("image", href=view.image, width=view.width, height=view.height)


def _data_uri(image: NDArray[np.uint8], suffix: str, options: list[int]) -> str:
    done, data = cv2.imencode(suffix, image, options)
    assert done, "OpenCV writes WebP and PNG"
    text = base64.b64encode(data.tobytes()).decode("ascii")
    return f"data:image/{suffix[1:]};base64,{text}"
