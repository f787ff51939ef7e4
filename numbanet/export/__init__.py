"""Trained networks outside of numbanet: in compiled code, C and files that others read."""

from numbanet.export.c import to_c
from numbanet.export.cfunc import CFunction, to_cfunc
from numbanet.export.compiled import CompiledModel, to_njit
from numbanet.export.cuda import to_cuda_device
from numbanet.export.onnx import from_onnx, to_onnx

__all__ = ["CFunction", "CompiledModel", "from_onnx", "to_c", "to_cfunc", "to_cuda_device", "to_njit", "to_onnx"]
