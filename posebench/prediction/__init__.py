"""Prediction: image, crop, network, decoding, keypoints.

A data set, its boxes and a network come in, `Predictions` go out, kept by a hash of all that moves
them. `engines` runs a network: torch, compiled, onnxruntime, OpenVINO.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
