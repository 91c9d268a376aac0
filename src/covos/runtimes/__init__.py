"""Runtimes: networks as ONNX graphs, computed by torch, OpenVINO or ONNX Runtime."""
