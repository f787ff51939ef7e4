"""What a worker tells the cache: what it will read next, and what it will write.

What it will read next is a stack of ranges of addresses: how many there are, then the first and the
last address of each. The matrix product fetches them while it multiplies.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from numbanet.cpu.jit import inline
from numbanet.cpu.memory import I32, I64

LINE = 64  # bytes of a cache line


def emit_prefetch(builder: ir.IRBuilder, address: Any) -> None:
    """Ask for the cache line at an address; none is out of bounds."""
    pointer = builder.inttoptr(address, ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [pointer.type, I32, I32, I32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(function, [pointer, *(ir.Constant(I32, n) for n in (0, 2, 1))])  # to read, second level, data


if config.DISABLE_JIT:

    def address_of(array: Any, index: int) -> int:
        """Address of an element."""
        return array.ctypes.data + index * array.itemsize

    def touch(array: Any, index: int) -> None:
        """Write an element that stays as it is."""

else:

    @intrinsic
    def address_of(typing, array, index):  # type: ignore[no-untyped-def,misc]
        """Address of an element."""

        def codegen(context, builder, sig, args):
            data = context.make_array(sig.args[0])(context, builder, args[0]).data
            return builder.ptrtoint(builder.gep(data, [args[1]]), I64)

        return types.int64(array, types.intp), codegen

    @intrinsic
    def touch(typing, array, index):  # type: ignore[no-untyped-def,misc]
        """Write an element that stays as it is."""

        def codegen(context, builder, sig, args):
            data = context.make_array(sig.args[0])(context, builder, args[0]).data
            bits = ir.IntType(sig.args[0].dtype.bitwidth)
            pointer = builder.bitcast(builder.gep(data, [args[1]]), bits.as_pointer())
            kept = builder.asm(ir.FunctionType(bits, [bits]), "", "=r,0", [builder.load(pointer)], False)  # unseen
            builder.store(kept, pointer)
            return context.get_dummy_value()

        return types.void(array, types.intp), codegen


@inline
def claim(array, first, last):
    """Take the cache lines of ``array[first:last]`` from the other cores that have read them.

    In a row of their own many of the writes wait at a time; between arithmetic, one behind the other.
    """
    for i in range(first, last, LINE // array.itemsize):
        touch(array, i)
    touch(array, last - 1)


@inline
def want(ahead, array, first, last):
    """Put ``array[first:last]`` on the stack."""
    top = 1 + 2 * ahead[0]
    ahead[top] = address_of(array, first)
    ahead[top + 1] = address_of(array, last - 1)
    ahead[0] += 1


@inline
def take(ahead, lines):
    """First and last address of the range on top, of which ``lines`` are taken; an empty array is no stack."""
    if ahead.size == 0 or ahead[0] == 0:
        return 0, 0
    top = 2 * ahead[0] - 1
    first, last = ahead[top], ahead[top + 1]
    ahead[top] = first + lines * LINE
    if ahead[top] > last:
        ahead[0] -= 1
    return first, last
