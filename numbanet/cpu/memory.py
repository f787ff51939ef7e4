"""Views without reference counts, bounds checks for intrinsics, aligned buffers."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

I32, I64 = ir.IntType(32), ir.IntType(64)


def integer(value: int) -> ir.Constant:
    """64-bit constant."""
    return ir.Constant(I64, value)


def aligned(size: int, dtype: Any, alignment: int = 64) -> np.ndarray:
    """Zeros that start at a cache line, so that no vector crosses one."""
    itemsize = np.dtype(dtype).itemsize
    buffer = np.zeros(size * itemsize + alignment, np.uint8)
    start = -buffer.ctypes.data % alignment
    return buffer[start : start + size * itemsize].view(dtype)


class _Writable:
    """Claims that a read-only array may be written, and keeps it alive."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.__array_interface__ = {**array.__array_interface__, "data": (array.ctypes.data, False)}


def flat(array: np.ndarray) -> np.ndarray:
    """A C-contiguous array as one axis, of the one type for which kernels are compiled.

    To Numba read-only memory is another type; kernels don't write to what they are given to read.
    """
    return (array if array.flags.writeable else np.asarray(_Writable(array))).reshape(-1)


def check_bounds(context: Any, builder: Any, array: Any, first: Any, last: Any) -> None:
    """With NUMBA_BOUNDSCHECK, raise IndexError unless 0 <= first and last < the array's size."""
    if config.BOUNDSCHECK:
        bad = builder.or_(
            builder.icmp_signed("<", first, integer(0)), builder.icmp_signed(">=", last, array.nitems)
        )
        with cgutils.if_unlikely(builder, bad):
            context.call_conv.return_user_exc(builder, IndexError, ("a kernel reaches past the end of an array",))


if config.DISABLE_JIT:

    def view(array: np.ndarray, start: int, size: int) -> np.ndarray:
        """``array[start : start + size]`` of a flat array."""
        if not 0 <= start <= start + size <= array.size:
            raise IndexError("a kernel reaches past the end of an array")
        return array[start : start + size]

    def grid(array: np.ndarray, start: int, rows: int, columns: int) -> np.ndarray:
        """``view`` as a matrix."""
        return view(array, start, rows * columns).reshape(rows, columns)

else:

    def _slice(context: Any, builder: Any, sig: Any, args: Any, shape: list[Any]) -> Any:
        """An array that borrows memory: slicing would count references, atomically."""
        source = context.make_array(sig.args[0])(context, builder, args[0])
        itemsize = sig.args[0].dtype.bitwidth // 8
        size = shape[0] if len(shape) == 1 else builder.mul(shape[0], shape[1])
        check_bounds(context, builder, source, args[1], builder.sub(builder.add(args[1], size), integer(1)))
        result = context.make_array(sig.return_type)(context, builder)
        strides = [integer(itemsize)]
        if len(shape) == 2:
            strides = [builder.mul(shape[1], integer(itemsize)), *strides]
        result.data = builder.gep(source.data, [args[1]])
        result.shape = cgutils.pack_array(builder, shape)
        result.strides = cgutils.pack_array(builder, strides)
        result.itemsize = integer(itemsize)
        result.nitems = size
        result.meminfo = cgutils.get_null_value(result.meminfo.type)
        result.parent = cgutils.get_null_value(result.parent.type)
        return result._getvalue()

    @intrinsic
    def view(typing, array, start, size):  # type: ignore[no-untyped-def,misc]
        """``array[start : start + size]`` of a flat array."""

        def codegen(context, builder, sig, args):
            return _slice(context, builder, sig, args, [args[2]])

        return types.Array(array.dtype, 1, "C")(array, types.intp, types.intp), codegen

    @intrinsic
    def grid(typing, array, start, rows, columns):  # type: ignore[no-untyped-def,misc]
        """``view`` as a matrix."""

        def codegen(context, builder, sig, args):
            return _slice(context, builder, sig, args, [args[2], args[3]])

        return types.Array(array.dtype, 2, "C")(array, types.intp, types.intp, types.intp), codegen
