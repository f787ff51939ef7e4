"""Trained networks outside of numbanet: in compiled code, C and files that others read."""

from numbanet.export.c import to_c
from numbanet.export.cfunc import CFunction, to_cfunc
from numbanet.export.compiled import CompiledModel, to_njit

__all__ = ["CFunction", "CompiledModel", "to_c", "to_cfunc", "to_njit"]
