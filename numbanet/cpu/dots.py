"""The second tile: C[rows, columns] (+)= dot products, over lanes and positions, of rows of A and rows of B.

Gradients of weights are such sums. Nothing is broadcast or transposed: A and B are read in whole
vectors along the lanes, and every accumulator is summed up once at the end. It pays where the sums
are long, as they are in a convolution.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from numbanet.cpu import host
from numbanet.cpu.memory import I32, I64, check_bounds, integer
from numbanet.cpu.tile import Vectors, store_part, suffix

ROWS = 4  # of A that one call takes


def _halves(v: Vectors, x: Any, y: Any, step: int) -> Any:
    """Sums of neighbours, ``step`` elements each: those of x and of y by turns."""
    groups = range(0, v.width, 2 * step)
    low = [i + g for g in groups for i in (*range(step), *range(v.width, v.width + step))]
    masks = [ir.Constant(ir.VectorType(I32, v.width), [i + shift for i in low]) for shift in (0, step)]
    return v.b.fadd(*(v.b.shuffle_vector(x, y, mask) for mask in masks))


def _sums(v: Vectors, vectors: list[Any]) -> Any:
    """One vector of the sums of as many vectors, a power of two of them."""
    b, count, width = v.b, len(vectors), v.width
    while width > count:
        width //= 2
        low, high = (ir.Constant(ir.VectorType(I32, width), list(range(s, s + width))) for s in (0, width))
        vectors = [b.fadd(b.shuffle_vector(x, x, low), b.shuffle_vector(x, x, high)) for x in vectors]
    narrow, step = Vectors(b, v.type.element, width), 1
    while step < width:
        vectors = [_halves(narrow, x, y, step) for x, y in zip(vectors[::2], vectors[1::2], strict=True)]
        step *= 2
    while len(vectors) > 1:
        both = ir.Constant(ir.VectorType(I32, 2 * width), list(range(2 * width)))
        vectors = [b.shuffle_vector(x, y, both) for x, y in zip(vectors[::2], vectors[1::2], strict=True)]
        width *= 2
    return vectors[0]


def _dots_function(module: ir.Module, element: ir.Type, rows: int, columns: int, width: int) -> ir.Function:
    """LLVM function of the tile of ``rows`` x ``columns`` accumulators of ``width`` elements."""
    name = f"numbanet_dots_{suffix(element)}_{rows}x{columns}x{width}"
    if name in module.globals:
        return module.globals[name]
    pointer = element.as_pointer()
    # rows of A; b, its step by row, vectors of lanes; count and steps of a and b at three levels; c, its
    # step by row, rows, columns, adds
    kinds = [*[pointer] * rows, pointer, I64, I64, *[I64] * 9, pointer, *[I64] * 4]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    left, rest = function.args[:rows], function.args[rows:]
    right, b_row, vectors, *steps = rest
    levels, (c, c_row, height, wide, accumulate) = [steps[i : i + 3] for i in (0, 3, 6)], steps[9:]
    b = ir.IRBuilder(function.append_basic_block("entry"))
    v = Vectors(b, element, width)
    fma = v.declare(f"fma.{v.name}", v.type, v.type, v.type, v.type)
    cells = [(m, j) for m in range(rows) for j in range(columns)]
    total = {cell: b.alloca(v.type) for cell in cells}  # become registers
    for place in total.values():
        b.store(v.zero, place)
    # missing columns repeat the last
    last = b.sub(wide, integer(1))
    at = [b.select(b.icmp_signed("<", integer(j), wide), integer(j), last) for j in range(columns)]
    others = [b.gep(right, [b.mul(b_row, n)]) for n in at]

    def body(a_at: Any, b_at: Any) -> None:
        with cgutils.for_range(b, vectors) as loop:
            lane = b.mul(loop.index, integer(width))
            xs = [v.load(b.gep(p, [b.add(b_at, lane)])) for p in others]
            for m, p in enumerate(left):
                y = v.load(b.gep(p, [b.add(a_at, lane)]))
                for j, x in enumerate(xs):
                    b.store(b.call(fma, [x, y, b.load(total[m, j])]), total[m, j])

    def nest(inner: list[Any], a_at: Any, b_at: Any) -> None:
        if not inner:
            body(a_at, b_at)
            return
        count, a_step, b_step = inner[-1]
        with cgutils.for_range(b, count) as loop:
            nest(inner[:-1], b.add(a_at, b.mul(loop.index, a_step)), b.add(b_at, b.mul(loop.index, b_step)))

    nest(levels, integer(0), integer(0))
    size = 1 << columns.bit_length()  # more than there are: only parts of a vector are stored
    narrow = Vectors(b, element, size)
    adds = b.icmp_signed("!=", accumulate, integer(0))
    nothing = b.alloca(narrow.type)
    b.store(narrow.zero, nothing)
    for m in range(rows):
        row = [b.load(total[m, j]) for j in range(columns)]
        sums = _sums(v, [*row, *[v.zero] * (size - columns)])
        with b.if_then(b.icmp_signed(">", height, integer(m))):
            place = b.gep(c, [b.mul(c_row, integer(m))])
            store_part(narrow, {(0, 0): sums}, {(0, 0): place}, wide, b.bitcast(nothing, pointer), adds)
    b.ret_void()
    return function


if config.DISABLE_JIT:

    def dots(  # type: ignore[no-untyped-def]
        a, starts, b, bo, b_row, lanes, n1, a1, b1, n2, a2, b2, n3, a3, b3, c, co, c_row, rows, columns, accumulate
    ):
        """C[rows, columns] (+)= sums over lanes and positions of A[row] B[column]."""
        i, j, k = np.arange(n3)[:, None, None], np.arange(n2)[:, None], np.arange(n1)
        lane = np.arange(lanes)
        left = (i * a3 + j * a2 + k * a1).ravel()[:, None] + lane
        right = (i * b3 + j * b2 + k * b1).ravel()[:, None] + lane
        for m in range(rows):
            for n in range(columns):
                total = a[starts[m] + left].ravel() @ b[bo + n * b_row + right].ravel()
                place = co + m * c_row + n
                c[place] = total + (c[place] if accumulate else 0)

else:

    @intrinsic
    def dots(  # type: ignore[no-untyped-def,misc]
        typing, a, starts, b, bo, b_row, lanes, n1, a1, b1, n2, a2, b2, n3, a3, b3, c, co, c_row, rows, columns,
        accumulate,
    ):  # fmt: skip
        """C[rows, columns] (+)= sums over lanes and positions of A[row] B[column].

        The `ROWS` rows of A start at ``starts``, a tuple, row n of B at ``bo + n * b_row``. Positions are
        n3 x n2 x n1, with their steps in A and B. ``lanes`` are whole vectors, or a narrow one. Of C ``rows``
        and ``columns`` are written.
        """
        i = types.intp
        shape = host.tile(str(a.dtype))
        signature = types.void(a, starts, b, *[i] * 12, c, *[i] * 5)

        def codegen(context, builder, sig, args):
            arrays = {n: context.make_array(sig.args[n])(context, builder, args[n]) for n in (0, 2, 15)}
            starts = cgutils.unpack_tuple(builder, args[1])
            bo, b_row, lanes, *levels = args[3:15]
            co, *rest = args[16:]
            left = [builder.gep(arrays[0].data, [start]) for start in starts]
            right, out = builder.gep(arrays[2].data, [bo]), builder.gep(arrays[15].data, [co])
            element = context.get_data_type(sig.args[0].dtype)
            c_row, rows, columns, accumulate = rest
            _check(context, builder, arrays, starts, args)
            group, width = shape.sums
            for size in sorted({shape.narrow, shape.vector}):
                whole = builder.icmp_signed(">=", lanes, integer(shape.vector))
                fits = whole if size == shape.vector else builder.not_(whole)
                with builder.if_then(fits):
                    function = _dots_function(builder.module, element, group, width, size)
                    vectors = builder.sdiv(lanes, integer(size))
                    for m in range(0, ROWS, group):
                        place = builder.gep(out, [builder.mul(c_row, integer(m))])
                        height = builder.sub(rows, integer(m))
                        part = left[m : m + group]
                        builder.call(
                            function,
                            [*part, right, b_row, vectors, *levels, place, c_row, height, columns, accumulate],
                        )
            return context.get_dummy_value()

        return signature, codegen


def _check(context: Any, builder: Any, arrays: Any, starts: Any, args: Any) -> None:
    """With NUMBA_BOUNDSCHECK, check the far corners of A, B and C (steps are not negative)."""
    if config.BOUNDSCHECK:
        one = integer(1)
        counts = [builder.sub(n, one) for n in (args[5], args[6], args[9], args[12])]
        far = [
            functools.reduce(builder.add, [counts[0], *map(builder.mul, counts[1:], steps)])
            for steps in ((args[7], args[10], args[13]), (args[8], args[11], args[14]))
        ]
        rows, columns = builder.sub(args[18], one), builder.sub(args[19], one)
        for start in starts:
            check_bounds(context, builder, arrays[0], start, builder.add(start, far[0]))
        last = builder.add(args[3], builder.mul(columns, args[4]))
        check_bounds(context, builder, arrays[2], args[3], builder.add(last, far[1]))
        last = builder.add(builder.add(args[16], builder.mul(rows, args[17])), columns)
        check_bounds(context, builder, arrays[15], args[16], last)
