"""Models as ONNX graphs."""

from numbanet.export.onnx.writing import to_onnx

__all__ = ["to_onnx"]
