"""Exported networks: ONNX and OpenVINO files to a network, without their weights."""
