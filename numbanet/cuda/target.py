"""The one place that imports `numba.cuda`, and what kernels call there by the names they have on the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numba import config, cuda, types
from numba.core import cgutils


def device(function: Callable[..., Any]) -> Any:
    """A function that other functions on the device can call."""
    return cuda.jit(device=True)(function)


def names(dtype: str) -> dict[str, Any]:
    """What a generated function needs for memory of a thread's own: ``cuda.local.array(size, T)``."""
    return {"cuda": cuda, "T": getattr(types, dtype)}


def twin(name: str) -> Any:
    """What stands for a function of `math`, or for ``max`` and ``min``, in a formula."""
    return {"max": larger, "min": smaller}.get(name) or getattr(math, name)


@device
def larger(x, y):  # type: ignore[no-untyped-def]
    """The larger, or NaN if one is."""
    return y if y > x or y != y else x


@device
def smaller(x, y):  # type: ignore[no-untyped-def]
    """The smaller, or NaN if one is."""
    return y if y < x or y != y else x


@device
def product(  # type: ignore[no-untyped-def]
    address, a, ao, a_row, a_k, a_block, b, bo, b_k, b_block, b_strip,
    c, co, c_row, c_strip, rows, depth, blocks, width, strips, accumulate, ahead,
):  # fmt: skip
    """C[rows, 1] (+)= A B for each of ``strips`` B and C: what stands for the call of a matrix product."""
    for strip in range(strips):
        for row in range(rows):
            place = co + strip * c_strip + row * c_row
            if not accumulate:
                c[place] = 0
            total = c[place]
            for i in range(blocks):
                left, right = ao + row * a_row + i * a_block, bo + strip * b_strip + i * b_block
                for k in range(depth):
                    total += a[left + k * a_k] * b[right + k * b_k]
            c[place] = total


if config.ENABLE_CUDASIM:

    @device
    def view(array, start, size):  # type: ignore[no-untyped-def]
        """``array[start : start + size]`` of a flat array."""
        return array[start : start + size]

    @device
    def grid(array, start, rows, columns):  # type: ignore[no-untyped-def]
        """`view` as a matrix."""
        return array[start : start + rows * columns].reshape((rows, columns))

else:
    from numba.cuda.extending import intrinsic

    def _slice(context: Any, builder: Any, sig: Any, args: Any, shape: list[Any]) -> Any:
        """An array that borrows memory: a function on the device may not return what slicing makes."""
        source = context.make_array(sig.args[0])(context, builder, args[0])
        result = context.make_array(sig.return_type)(context, builder)
        itemsize = context.get_constant(types.intp, sig.args[0].dtype.bitwidth // 8)
        strides = [itemsize] if len(shape) == 1 else [builder.mul(shape[1], itemsize), itemsize]
        result.data = builder.gep(source.data, [args[1]])
        result.shape, result.strides = cgutils.pack_array(builder, shape), cgutils.pack_array(builder, strides)
        result.itemsize = itemsize
        result.nitems = shape[0] if len(shape) == 1 else builder.mul(shape[0], shape[1])
        result.meminfo = cgutils.get_null_value(result.meminfo.type)
        result.parent = cgutils.get_null_value(result.parent.type)
        return result._getvalue()

    @intrinsic
    def view(typing, array, start, size):  # type: ignore[no-untyped-def]
        """``array[start : start + size]`` of a flat array."""

        def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
            return _slice(context, builder, sig, args, [args[2]])

        return types.Array(array.dtype, 1, "C")(array, types.intp, types.intp), codegen

    @intrinsic
    def grid(typing, array, start, rows, columns):  # type: ignore[no-untyped-def]
        """`view` as a matrix."""

        def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
            return _slice(context, builder, sig, args, [args[2], args[3]])

        return types.Array(array.dtype, 2, "C")(array, types.intp, types.intp, types.intp), codegen
