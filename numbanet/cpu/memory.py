"""Views without reference counts, bounds checks for intrinsics, aligned buffers."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

I32, I64 = ir.IntType(32), ir.IntType(64)
NOT_A_VECTOR = "expected an array with one axis or a C-contiguous one, got {}; np.ascontiguousarray makes one"
NO_RESULTS = "expected an array of float32 or float64 for the results, which may be written, got {}"
NOT_LIKE = "expected a C-contiguous array of the model's {}, got {}; np.ascontiguousarray(x, dtype) makes one"


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

    def words(array: np.ndarray, start: int, size: int) -> np.ndarray:
        """As many words as elements, from where an element begins."""
        return view(array, start, size).view(np.uint32)[:size]

    def stack(like: np.ndarray, size: int) -> np.ndarray:
        """Memory of the calling function, of an array's type, for a literal number of elements."""
        return np.empty(size, like.dtype)

    def as_vector(array: np.ndarray) -> np.ndarray:
        """All elements of an array in one axis, where they lie."""
        if not (array.ndim == 1 or array.flags.c_contiguous):
            raise TypeError(NOT_A_VECTOR.format(f"an array with strides {array.strides}"))
        return array.reshape(-1)

    def writable(array: np.ndarray) -> np.ndarray:
        """The array, if results may be written into it."""
        if not array.flags.writeable or array.dtype.kind != "f":
            kind = "one that is read-only" if not array.flags.writeable else f"one of {array.dtype}"
            raise TypeError(NO_RESULTS.format(kind))
        return array

    def as_vector_like(array: np.ndarray, like: np.ndarray) -> np.ndarray:
        """`as_vector` of a C-contiguous array that has the type of another."""
        if array.dtype != like.dtype or not array.flags.c_contiguous:
            kind = f"an array of {array.dtype} with strides {array.strides}"
            raise TypeError(NOT_LIKE.format(like.dtype, kind))
        return array.reshape(-1)

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

    @intrinsic
    def words(typing, array, start, size):  # type: ignore[no-untyped-def,misc]
        """As many words as elements, from where an element begins."""
        kind = types.Array(types.uint32, 1, "C")

        def codegen(context, builder, sig, args):
            source = context.make_array(sig.args[0])(context, builder, args[0])
            check_bounds(context, builder, source, args[1], builder.sub(builder.add(args[1], args[2]), integer(1)))
            result = context.make_array(kind)(context, builder)
            place = builder.gep(source.data, [args[1]])
            _describe(result, builder.bitcast(place, result.data.type), args[2], kind)
            return result._getvalue()

        return kind(array, types.intp, types.intp), codegen

    @intrinsic(prefer_literal=True)
    def stack(typing, like, size):  # type: ignore[no-untyped-def,misc]
        """Memory of the calling function, of an array's type, for a literal number of elements."""
        if not isinstance(size, types.IntegerLiteral):
            return None
        count = size.literal_value

        def codegen(context, builder, sig, args):
            element = context.get_data_type(sig.return_type.dtype)
            place = cgutils.alloca_once(builder, ir.ArrayType(element, count))
            place.align = 64
            result = context.make_array(sig.return_type)(context, builder)
            _describe(result, builder.bitcast(place, element.as_pointer()), integer(count), sig.return_type)
            return result._getvalue()

        return types.Array(like.dtype, 1, "C")(like, size), codegen

    @intrinsic
    def as_vector(typing, array):  # type: ignore[no-untyped-def,misc]
        """All elements of an array in one axis, where they lie."""
        if not isinstance(array, types.Array) or not (array.ndim == 1 or array.layout == "C"):
            raise TypingError(NOT_A_VECTOR.format(array))
        layout = "C" if array.layout == "C" else "A"
        return types.Array(array.dtype, 1, layout, readonly=not array.mutable)(array), _flatten

    @intrinsic
    def as_vector_like(typing, array, like):  # type: ignore[no-untyped-def,misc]
        """`as_vector` of a C-contiguous array that has the type of another; not to be written."""
        if not isinstance(array, types.Array) or array.layout != "C" or array.dtype != like.dtype:
            raise TypingError(NOT_LIKE.format(like.dtype, array))
        return types.Array(array.dtype, 1, "C")(array, like), _flatten

    @intrinsic
    def writable(typing, array):  # type: ignore[no-untyped-def,misc]
        """The array, if results may be written into it."""
        if not isinstance(array, types.Array) or not array.mutable or not isinstance(array.dtype, types.Float):
            raise TypingError(NO_RESULTS.format(array))
        return array(array), lambda context, builder, sig, args: args[0]

    def _flatten(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        """Code that describes an array as one axis."""
        source = context.make_array(sig.args[0])(context, builder, args[0])
        result = context.make_array(sig.return_type)(context, builder)
        _describe(result, source.data, source.nitems, sig.return_type)
        if sig.return_type.layout == "A":
            result.strides = source.strides
        return result._getvalue()

    def _describe(result: Any, data: Any, size: Any, kind: Any) -> None:
        """Fill in an array of one axis that borrows its memory."""
        builder, itemsize = result._builder, integer(kind.dtype.bitwidth // 8)
        result.data, result.nitems, result.itemsize = data, size, itemsize
        result.shape, result.strides = (cgutils.pack_array(builder, [n]) for n in (size, itemsize))
        result.meminfo = cgutils.get_null_value(result.meminfo.type)
        result.parent = cgutils.get_null_value(result.parent.type)


def resident(array: np.ndarray) -> Any:
    """A function that gives compiled code an array where it lies, which must live as long as the function."""
    if config.DISABLE_JIT:
        return lambda: array

    @intrinsic
    def there(typing):  # type: ignore[no-untyped-def,misc]
        """The array."""
        kind = types.Array(getattr(types, str(array.dtype)), 1, "C")

        def codegen(context, builder, sig, args):
            result = context.make_array(kind)(context, builder)
            address = context.add_dynamic_addr(builder, array.ctypes.data, info="numbanet")
            _describe(result, builder.bitcast(address, result.data.type), integer(array.size), kind)
            return result._getvalue()

        return kind(), codegen

    return there
