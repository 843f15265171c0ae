"""The networks that posebench is compared with MMPose on, and how their files are made."""

from __future__ import annotations

from posebench.scoring.rescoring import Rescoring

_COCO = "body_2d_keypoint"
_HEATMAP = f"{_COCO}/topdown_heatmap/coco"
_SIMCC = f"{_COCO}/simcc/coco"
_REGRESSION = f"{_COCO}/topdown_regression/coco"
_WHOLE = "wholebody_2d_keypoint/rtmpose"
FAMILIES: dict[str, str] = {
    "td-hm_res50": f"{_HEATMAP}/td-hm_res50_8xb64-210e_coco-256x192.py",
    "td-hm_resnetv1d50": f"{_HEATMAP}/td-hm_resnetv1d50_8xb64-210e_coco-256x192.py",
    "td-hm_resnext50": f"{_HEATMAP}/td-hm_resnext50_8xb64-210e_coco-256x192.py",
    "td-hm_seresnet50": f"{_HEATMAP}/td-hm_seresnet50_8xb64-210e_coco-256x192.py",
    "td-hm_scnet50": f"{_HEATMAP}/td-hm_scnet50_8xb64-210e_coco-256x192.py",
    "td-hm_resnest50": f"{_HEATMAP}/td-hm_resnest50_8xb64-210e_coco-256x192.py",
    "td-hm_mobilenetv2": f"{_HEATMAP}/td-hm_mobilenetv2_8xb64-210e_coco-256x192.py",
    "td-hm_shufflenetv1": f"{_HEATMAP}/td-hm_shufflenetv1_8xb64-210e_coco-256x192.py",
    "td-hm_shufflenetv2": f"{_HEATMAP}/td-hm_shufflenetv2_8xb64-210e_coco-256x192.py",
    "td-hm_vgg16-bn": f"{_HEATMAP}/td-hm_vgg16-bn_8xb64-210e_coco-256x192.py",
    "td-hm_alexnet": f"{_HEATMAP}/td-hm_alexnet_8xb64-210e_coco-256x192.py",
    "td-hm_hrnet-w32": f"{_HEATMAP}/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py",
    "td-hm_hrnet-w32_dark": f"{_HEATMAP}/td-hm_hrnet-w32_dark-8xb64-210e_coco-256x192.py",
    "td-hm_hrnet-w32_udp": f"{_HEATMAP}/td-hm_hrnet-w32_udp-8xb64-210e_coco-256x192.py",
    "td-hm_hrnet-w48": f"{_HEATMAP}/td-hm_hrnet-w48_8xb32-210e_coco-256x192.py",
    "td-hm_litehrnet-18": f"{_HEATMAP}/td-hm_litehrnet-18_8xb64-210e_coco-256x192.py",
    "td-hm_litehrnet-30": f"{_HEATMAP}/td-hm_litehrnet-30_8xb64-210e_coco-256x192.py",
    "td-hm_hrformer-small": f"{_HEATMAP}/td-hm_hrformer-small_8xb32-210e_coco-256x192.py",
    "td-hm_vipnas-mbv3": f"{_HEATMAP}/td-hm_vipnas-mbv3_8xb64-210e_coco-256x192.py",
    "td-hm_vipnas-res50": f"{_HEATMAP}/td-hm_vipnas-res50_8xb64-210e_coco-256x192.py",
    "simcc_vipnas-mbv3": f"{_SIMCC}/simcc_vipnas-mbv3_8xb64-210e_coco-256x192.py",
    "simcc_mobilenetv2": f"{_SIMCC}/simcc_mobilenetv2_wo-deconv-8xb64-210e_coco-256x192.py",
    "simcc_res50": f"{_SIMCC}/simcc_res50_8xb64-210e_coco-256x192.py",
    "td-reg_res50": f"{_REGRESSION}/td-reg_res50_8xb64-210e_coco-256x192.py",
    "td-reg_res50_rle": f"{_REGRESSION}/td-reg_res50_rle-8xb64-210e_coco-256x192.py",
    "td-reg_mobilenetv2_rle": (
        f"{_REGRESSION}/td-reg_mobilenetv2_rle-pretrained-8xb64-210e_coco-256x192.py"
    ),
    "rtmpose-t": f"{_COCO}/rtmpose/coco/rtmpose-t_8xb256-420e_coco-256x192.py",
    "rtmpose-m": f"{_COCO}/rtmpose/coco/rtmpose-m_8xb256-420e_coco-256x192.py",
    "vitpose-s": f"{_COCO}/topdown_heatmap/coco/td-hm_ViTPose-small_8xb64-210e_coco-256x192.py",
    "vitpose-s-simple": (
        f"{_COCO}/topdown_heatmap/coco/td-hm_ViTPose-small-simple_8xb64-210e_coco-256x192.py"
    ),
    "rtmpose-m_384x288": f"{_COCO}/rtmpose/coco/rtmpose-m_8xb256-420e_aic-coco-384x288.py",
    "rtmpose-t_ema": f"{_COCO}/rtmpose/coco/rtmpose-t_8xb256-420e_coco-256x192.py",
    "td-hm_res50_0.x": f"{_HEATMAP}/td-hm_res50_8xb64-210e_coco-256x192.py",
    "td-hm_res50_dark": f"{_HEATMAP}/td-hm_res50_dark-8xb64-210e_coco-256x192.py",
    "cspnext-m_udp": f"{_HEATMAP}/cspnext-m_udp_8xb256-210e_coco-256x192.py",
    "td-hm_hrnet-w32_udp-regress": (
        f"{_HEATMAP}/td-hm_hrnet-w32_udp-regress-8xb64-210e_coco-256x192.py"
    ),
    "td-hm_res50_crowdpose": (
        f"{_COCO}/topdown_heatmap/crowdpose/td-hm_res50_8xb64-210e_crowdpose-256x192.py"
    ),
    "rtmpose-m_crowdpose": (f"{_COCO}/rtmpose/crowdpose/rtmpose-m_8xb64-210e_crowdpose-256x192.py"),
    "rtmpose-m_wholebody": (
        f"{_WHOLE}/coco-wholebody/rtmpose-m_8xb64-270e_coco-wholebody-256x192.py"
    ),
    "rtmw-m": f"{_WHOLE}/cocktail14/rtmw-m_8xb1024-270e_cocktail14-256x192.py",
}
# How the reference writes a file, where that is not as it publishes them.
MAKE_OPTIONS: dict[str, tuple[str, ...]] = {
    "rtmpose-t_ema": ("--runner-like", "--zip"),
    "td-hm_res50_0.x": ("--v0",),
}
# The reference fits 1x1 layers only.
UNFITTED = ("vitpose-s-simple",)
SCALE_OUTPUTS = """
import sys, torch
source, target, scale = sys.argv[1:]
checkpoint = torch.load(source, map_location="cpu", weights_only=False)
state = checkpoint["state_dict"]
for layers in (("cls_x", "cls_y"), ("mlp_head_x", "mlp_head_y"), ("final_layer",)):
    names = [name for name in state if name.startswith(tuple(f"head.{x}." for x in layers))]
    if names:
        break
for name in names:
    state[name] = state[name] * float(scale)
if "optimizer" in checkpoint:  # in training, mmengine keeps what it averages beside the average
    last = {f"module.{name}": tensor * 2 for name, tensor in state.items()}
    checkpoint["ema_state_dict"] = {**last, "steps": torch.tensor(9)}
torch.save(checkpoint, target, _use_new_zipfile_serialization="optimizer" in checkpoint)
"""
# Coordinates are fitted by ridge regression on the pooled features; deviations stay random.
FIT_COORDINATES = """
import os, sys, torch
script, made, target, config, annotations, images = sys.argv[1:]
sys.path.insert(0, os.path.dirname(script))
import mmpose_peer as peer
from mmengine.dataset import pseudo_collate
config = peer._cfg(config)
model = peer._build_model(config, made)
config.test_dataloader.dataset.pipeline = [
    *config.test_dataloader.dataset.pipeline[:-1],
    dict(type="GenerateTarget", encoder=config.codec), config.test_dataloader.dataset.pipeline[-1],
]
_, dataset = peer._dataset(config, annotations, images)
features, targets = [], []
with torch.no_grad():
    for start in range(0, len(dataset), 16):
        rows = range(start, min(start + 16, len(dataset)))
        data = model.data_preprocessor(pseudo_collate([dataset[row] for row in rows]), False)
        features.append(model.extract_feat(data["inputs"])[-1].flatten(1).double())
        instances = [each.gt_instance_labels for each in data["data_samples"]]
        labels = torch.cat([each.keypoint_labels for each in instances])
        known = torch.cat([each.keypoint_weights for each in instances]) > 0
        targets.append(torch.where(known[..., None], labels, 0.5).double())
features = torch.cat(features)
features = torch.cat((features, torch.ones(len(features), 1).double()), dim=1)
targets = torch.cat(targets).flatten(1)
squares = features.T @ features
ridge = 1e-3 * squares.diagonal().mean() * torch.eye(len(squares)).double()
solved = torch.linalg.solve(squares + ridge, features.T @ targets).float().T
checkpoint = torch.load(made, map_location="cpu", weights_only=False)
state = checkpoint["state_dict"]
keypoints = targets.shape[1] // 2
for name, values in (("weight", solved[:, :-1]), ("bias", solved[:, -1])):
    layer = state[f"head.fc.{name}"]
    layer = layer.reshape(keypoints, -1, *layer.shape[1:])
    layer[:, :2] = values.reshape(keypoints, 2, *layer.shape[2:])
    state[f"head.fc.{name}"] = layer.flatten(0, 1)
torch.save(checkpoint, target, _use_new_zipfile_serialization=False)
"""


def is_regression(family: str) -> bool:
    """Tell whether a family answers with coordinates."""
    return FAMILIES.get(family, "").startswith(_REGRESSION)


def rescoring_of(family: str) -> Rescoring:
    """Return the rule by which a family's config makes a pose's score of its keypoints'."""
    return "bbox_rle" if is_regression(family) and "_rle" in family else "bbox_keypoint"
