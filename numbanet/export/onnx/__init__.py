"""Models as ONNX graphs, and back."""

from numbanet.export.onnx.reading import from_onnx
from numbanet.export.onnx.writing import to_onnx

__all__ = ["from_onnx", "to_onnx"]
