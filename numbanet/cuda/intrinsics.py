"""What kernels call on the device by the names it has on the CPU, and what a thread knows of itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types

from numbanet.cuda.target import MOST, SIMULATED, cuda, device

# Of float64 the simulator's root is one of float64, beside which a float32 does not make all a float32.
root: Any = np.sqrt if SIMULATED else math.sqrt
SHARED = "shared(T)" if SIMULATED else "cuda.shared.array(0, T)"  # as much as the launch has asked for
SUMS = "sums()" if SIMULATED else f"cuda.shared.array({MOST}, float64)"


def names(dtype: str) -> dict[str, Any]:
    """What a generated function needs, beside its slots."""
    own = {name: globals()[name] for name in ("array", "lane", "fresh", "thread", "threads", "block", "blocks")}
    if SIMULATED:
        return {**own, "cuda": cuda, "T": getattr(np, dtype), "shared": shared, "sums": sums}
    return {**own, "cuda": cuda, "T": getattr(types, dtype), "float64": types.float64}


def twin(name: str) -> Any:
    """What stands for a function of `math`, or for ``max`` and ``min``, in a formula."""
    return {"max": larger, "min": smaller}.get(name) or getattr(math, name)


@device
def larger(x, y):
    """The larger, or NaN if one is."""
    return y if y > x or y != y else x


@device
def smaller(x, y):
    """The smaller, or NaN if one is."""
    return y if y < x or y != y else x


@device
def product(
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


if SIMULATED:
    from numbanet.cuda.simulated import (
        array,
        atomic_max,
        block,
        blocks,
        fresh,
        get,
        grid,
        lane,
        meet_block,
        meet_grid,
        put,
        put_word,
        shared,
        sums,
        thread,
        threads,
        view,
        words,
    )  # fmt: skip
else:
    from llvmlite import ir
    from numba.core import cgutils

    from numbanet.cuda.target import intrinsic

    @intrinsic
    def fresh(typing, number):
        """The same integer; what is made of it is made here.

        Otherwise what each layer makes of a thread's number is made before the first epoch, and fills registers.
        """

        def codegen(context, builder, sig, args):
            kind, bits = args[0].type, sig.args[0].bitwidth
            letter = "l" if bits == 64 else "r"
            text = f"mov.b{bits} $0, $1;"
            return builder.asm(ir.FunctionType(kind, [kind]), text, f"={letter},{letter}", args, side_effect=True)

        return number(number), codegen

    @intrinsic
    def array(typing, pointer, size):
        """What lies at an address; ``size`` is what the array says of itself."""
        kind = types.Array(pointer.dtype, 1, "C")

        def codegen(context, builder, sig, args):
            result = context.make_array(kind)(context, builder)
            itemsize = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
            nothing = cgutils.get_null_value
            context.populate_array(
                result, data=builder.bitcast(args[0], result.data.type), shape=[args[1]], strides=[itemsize],
                itemsize=itemsize, meminfo=nothing(result.meminfo.type), parent=nothing(result.parent.type),
            )
            return result._getvalue()

        return kind(pointer, types.intp), codegen

    def _slice(context: Any, builder: Any, sig: Any, args: Any, shape: list[Any], step: Any = None) -> Any:
        """An array that borrows memory: a function on the device may not return what slicing makes."""
        source = context.make_array(sig.args[0])(context, builder, args[0])
        result = context.make_array(sig.return_type)(context, builder)
        itemsize = context.get_constant(types.intp, sig.args[0].dtype.bitwidth // 8)
        pitch = itemsize
        if sig.args[0].layout != "C":
            pitch = cgutils.unpack_tuple(builder, source.strides)[0]
        start = builder.bitcast(source.data, cgutils.voidptr_t)
        result.data = builder.bitcast(builder.gep(start, [builder.mul(args[1], pitch)]), source.data.type)
        if step is not None:
            pitch = builder.mul(pitch, step)
        strides = [pitch] if len(shape) == 1 else [builder.mul(shape[1], pitch), pitch]
        result.shape, result.strides = cgutils.pack_array(builder, shape), cgutils.pack_array(builder, strides)
        result.itemsize = itemsize
        result.nitems = shape[0] if len(shape) == 1 else builder.mul(shape[0], shape[1])
        result.meminfo = cgutils.get_null_value(result.meminfo.type)
        result.parent = cgutils.get_null_value(result.parent.type)
        return result._getvalue()

    @intrinsic
    def view(typing, array, start, size):
        """``array[start : start + size]`` of an array of one axis."""

        def codegen(context, builder, sig, args):
            return _slice(context, builder, sig, args, [args[2]])

        return types.Array(array.dtype, 1, array.layout)(array, types.intp, types.intp), codegen

    @intrinsic
    def grid(typing, array, start, rows, columns):
        """`view` as a matrix."""

        def codegen(context, builder, sig, args):
            return _slice(context, builder, sig, args, [args[2], args[3]])

        return types.Array(array.dtype, 2, array.layout)(array, types.intp, types.intp, types.intp), codegen

    @intrinsic
    def get(typing, array, place):
        """``array[place]`` of an array whose elements lie side by side; to Numba a negative index is another case."""

        def codegen(context, builder, sig, args):
            source = context.make_array(sig.args[0])(context, builder, args[0])
            return builder.load(builder.gep(source.data, [args[1]]))

        return array.dtype(array, types.intp), codegen

    @intrinsic
    def put(typing, array, place, value):
        """``array[place] = value``, as `get`."""

        def codegen(context, builder, sig, args):
            source = context.make_array(sig.args[0])(context, builder, args[0])
            builder.store(args[2], builder.gep(source.data, [args[1]]))

        return types.void(array, types.intp, array.dtype), codegen

    @intrinsic
    def lane(typing, array, start, pitch):
        """Every element that is ``pitch`` from the one before, from ``start`` on."""

        def codegen(context, builder, sig, args):
            source = context.make_array(sig.args[0])(context, builder, args[0])
            return _slice(context, builder, sig, args, [source.nitems], args[2])

        return types.Array(array.dtype, 1, "A")(array, types.intp, types.intp), codegen

    @intrinsic
    def words(typing, array, start, lanes):
        """The first word of an element, as an array of one."""
        kind = types.Array(types.uint32, 1, "C")

        def codegen(context, builder, sig, args):
            source = context.make_array(sig.args[0])(context, builder, args[0])
            result = context.make_array(kind)(context, builder)
            pitch = cgutils.unpack_tuple(builder, source.strides)[0]
            start = builder.bitcast(source.data, cgutils.voidptr_t)
            result.data = builder.bitcast(builder.gep(start, [builder.mul(args[1], pitch)]), result.data.type)
            one, four = context.get_constant(types.intp, 1), context.get_constant(types.intp, 4)
            result.shape, result.strides = cgutils.pack_array(builder, [one]), cgutils.pack_array(builder, [four])
            result.itemsize, result.nitems = four, one
            result.meminfo = cgutils.get_null_value(result.meminfo.type)
            result.parent = cgutils.get_null_value(result.parent.type)
            return result._getvalue()

        return kind(array, types.intp, types.intp), codegen

    @device
    def put_word(array, place, word):
        """Store a word where an element begins."""
        words(array, place, 1)[0] = word

    @device
    def thread():
        """Number of the thread in its block."""
        return cuda.threadIdx.x

    @device
    def threads():
        """Threads of a block."""
        return cuda.blockDim.x

    @device
    def block():
        """Number of the block in the grid."""
        return cuda.blockIdx.x

    @device
    def blocks():
        """Blocks of the grid."""
        return cuda.gridDim.x

    @device
    def meet_block():
        """Wait for the threads of the block."""
        cuda.syncthreads()

    @device
    def meet_grid():
        """Wait for all threads."""
        cuda.cg.this_grid().sync()

    @device
    def atomic_max(array, place, value):
        """Let an integer be at least a value."""
        cuda.atomic.max(array, place, value)
