"""The one place that imports `numba.cuda`, and what kernels call there by the names they have on the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import config, cuda, types
from numba.core import cgutils

from numbanet.cuda import simulated

SIMULATED = bool(config.ENABLE_CUDASIM)


def why_not() -> str:
    """Why no kernel can be launched, or nothing."""
    if SIMULATED or cuda.is_available():
        return ""
    error = cuda.cuda_error()
    return f"no NVIDIA card with a driver was found{f' ({error})' if error else ''}"


def description() -> str:
    """Which card it is."""
    if SIMULATED:
        return "simulated"
    card = cuda.get_current_device()
    name = card.name.decode() if isinstance(card.name, bytes) else card.name
    capability = ".".join(map(str, card.compute_capability))
    return f"{name}, {card.MULTIPROCESSOR_COUNT} multiprocessors, compute capability {capability}"


def names(dtype: str) -> dict[str, Any]:
    """What a generated function needs for memory of a thread's own: ``cuda.local.array(size, T)``."""
    if SIMULATED:
        return {"cuda": cuda, "T": getattr(np, dtype), "shared": shared, "sums": sums}
    return {"cuda": cuda, "T": getattr(types, dtype), "float64": types.float64}


# Of float64 the simulator's root is one of float64, beside which a float32 does not make all a float32.
root: Any = np.sqrt if SIMULATED else math.sqrt
SHARED = "shared(params)" if SIMULATED else "cuda.shared.array(0, T)"  # as much as the launch has asked for
SUMS = "sums(params)" if SIMULATED else "cuda.shared.array(1024, float64)"


def send(array: np.ndarray) -> Any:
    """A copy on the device, as one axis."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return cuda.to_device(flat if flat.size else np.zeros(1, flat.dtype))


def empty(size: int, dtype: str) -> Any:
    """Memory of the device."""
    return cuda.device_array(size, dtype)


def fetch(array: Any, size: int) -> np.ndarray:
    """A copy of the first elements."""
    return array[:size].copy_to_host()


def borrow(array: Any) -> Any:
    """One of Numba's arrays for another library's memory on the device, without a copy."""
    if hasattr(type(array), "copy_to_host"):
        return array
    if not hasattr(array, "__cuda_array_interface__"):  # DLPack alone
        import cupy

        array = cupy.from_dlpack(array)
    return cuda.as_cuda_array(array)


def is_contiguous(array: Any) -> bool:
    """Whether elements lie one behind the other, the last axis the fastest."""
    return bool(array.is_c_contiguous())


def processors() -> int:
    """Blocks of threads that run at the same time for sure."""
    return 2 if SIMULATED else cuda.get_current_device().MULTIPROCESSOR_COUNT


def card() -> int:
    """Number of the card in use."""
    return 0 if SIMULATED else cuda.get_current_device().id


def shared_bytes() -> int:
    """Bytes that a block of threads may share on the chip, beside `sums`."""
    return simulated.SHARED if SIMULATED else cuda.get_current_device().MAX_SHARED_MEMORY_PER_BLOCK_OPTIN - (1 << 13)


def free_bytes() -> int:
    """Memory of the device that nobody uses."""
    return (1 << 30) if SIMULATED else int(cuda.current_context().get_memory_info().free)


def launch(function: Any, blocks: int, threads: int, shared: int, arguments: list[Any]) -> None:
    """Launch a kernel whose blocks share so many bytes on the chip."""
    if SIMULATED:
        simulated.Launch(function, blocks, threads, arguments).run()
        return
    if shared > 48 << 10:
        from numba.cuda.cudadrv.driver import binding, driver

        compiled = function.compile(tuple(function.typeof_pyval(a) for a in arguments))
        attribute = binding.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        handle = compiled._codelibrary.get_cufunc().handle
        driver.cuKernelSetAttribute(attribute, shared, handle, cuda.get_current_device().id)
    function[blocks, threads, 0, shared](*arguments)


def twin(name: str) -> Any:
    """What stands for a function of `math`, or for ``max`` and ``min``, in a formula."""
    return {"max": larger, "min": smaller}.get(name) or getattr(math, name)


def device(function: Callable[..., Any]) -> Any:
    """A function that becomes a part of those that call it, compiled once whatever numbers calls write out.

    Numba would compile it anew for each combination of them, and LLVM needs no such help. What is called instead takes
    its numbers in memory of the thread's own, and does not know where arrays lie.
    """
    if SIMULATED:
        return function
    found = cuda.jit(device=True, forceinline=True)(function)
    template = found.get_call_template

    def of_any_numbers(args: Any, kws: dict[str, Any]) -> Any:
        return template(tuple(map(types.unliteral, args)), {k: types.unliteral(v) for k, v in kws.items()})

    found.get_call_template = of_any_numbers
    return found


def exported(function: Callable[..., Any]) -> Any:
    """A function that users' kernels can call."""
    return cuda.jit(device=True)(function)


def kernel(function: Callable[..., Any], threads: int | None = None) -> Any:
    """A function that can be launched, with so many threads a block if registers must suffice for them."""
    return function if SIMULATED else cuda.jit(launch_bounds=threads)(function)


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


if SIMULATED:
    from numbanet.cuda.simulated import (
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
    from numba.cuda.extending import intrinsic

    @intrinsic
    def fresh(typing, number):  # type: ignore[no-untyped-def]
        """The same integer; what is made of it is made here.

        Otherwise what each layer makes of a thread's number is made before the first epoch, and fills registers.
        """

        def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
            kind, bits = args[0].type, sig.args[0].bitwidth
            letter = "l" if bits == 64 else "r"
            text = f"mov.b{bits} $0, $1;"
            return builder.asm(ir.FunctionType(kind, [kind]), text, f"={letter},{letter}", args, side_effect=True)

        return number(number), codegen

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
    def view(typing, array, start, size):  # type: ignore[no-untyped-def]
        """``array[start : start + size]`` of an array of one axis."""

        def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
            return _slice(context, builder, sig, args, [args[2]])

        return types.Array(array.dtype, 1, array.layout)(array, types.intp, types.intp), codegen

    @intrinsic
    def grid(typing, array, start, rows, columns):  # type: ignore[no-untyped-def]
        """`view` as a matrix."""

        def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
            return _slice(context, builder, sig, args, [args[2], args[3]])

        return types.Array(array.dtype, 2, array.layout)(array, types.intp, types.intp, types.intp), codegen

    @intrinsic
    def get(typing, array, place):  # type: ignore[no-untyped-def]
        """``array[place]`` of an array whose elements lie side by side; to Numba a negative index is another case."""

        def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
            source = context.make_array(sig.args[0])(context, builder, args[0])
            return builder.load(builder.gep(source.data, [args[1]]))

        return array.dtype(array, types.intp), codegen

    @intrinsic
    def put(typing, array, place, value):  # type: ignore[no-untyped-def]
        """``array[place] = value``, as `get`."""

        def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
            source = context.make_array(sig.args[0])(context, builder, args[0])
            builder.store(args[2], builder.gep(source.data, [args[1]]))

        return types.void(array, types.intp, array.dtype), codegen

    @intrinsic
    def lane(typing, array, start, pitch):  # type: ignore[no-untyped-def]
        """Every element that is ``pitch`` from the one before, from ``start`` on."""

        def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
            source = context.make_array(sig.args[0])(context, builder, args[0])
            return _slice(context, builder, sig, args, [source.nitems], args[2])

        return types.Array(array.dtype, 1, "A")(array, types.intp, types.intp), codegen

    @intrinsic
    def words(typing, array, start, lanes):  # type: ignore[no-untyped-def]
        """The first word of an element, as an array of one."""
        kind = types.Array(types.uint32, 1, "C")

        def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
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
    def put_word(array, place, word):  # type: ignore[no-untyped-def]
        """Store a word where an element begins."""
        words(array, place, 1)[0] = word

    @device
    def thread():  # type: ignore[no-untyped-def]
        """Number of the thread in its block."""
        return cuda.threadIdx.x

    @device
    def threads():  # type: ignore[no-untyped-def]
        """Threads of a block."""
        return cuda.blockDim.x

    @device
    def block():  # type: ignore[no-untyped-def]
        """Number of the block in the grid."""
        return cuda.blockIdx.x

    @device
    def blocks():  # type: ignore[no-untyped-def]
        """Blocks of the grid."""
        return cuda.gridDim.x

    @device
    def meet_block():  # type: ignore[no-untyped-def]
        """Wait for the threads of the block."""
        cuda.syncthreads()

    @device
    def meet_grid():  # type: ignore[no-untyped-def]
        """Wait for all threads."""
        cuda.cg.this_grid().sync()

    @device
    def atomic_max(array, place, value):  # type: ignore[no-untyped-def]
        """Let an integer be at least a value."""
        cuda.atomic.max(array, place, value)
