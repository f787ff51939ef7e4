"""Matrix products for one sample, made to be inlined where all sizes are constants.

The register tile multiplies blocks of lanes; with one lane, or as many as a network has outputs, it would
read past their end. Here every load is as wide as what there is.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from numbanet.cpu.jit import inline
from numbanet.cpu.memory import I32, check_bounds, integer
from numbanet.cpu.tile import Vectors, tile

if config.DISABLE_JIT:

    def strip(  # type: ignore[no-untyped-def]
        rows, width, s, so, s_row, s_k, s_block, v, vo, v_k, v_block, c, co, c_row, depth, blocks, accumulate
    ):
        """C[rows, width] (+)= sum over blocks and k of S[rows, k] V[k, width]."""
        tile(
            rows, s, so, s_row, s_k, s_block, v, vo, v_k, v_block, c, co, c_row, depth, blocks, width, accumulate,
            0, 0,
        )  # fmt: skip

    def dots(rows, piece, a, ao, a_row, b, bo, c, co, depth, accumulate):  # type: ignore[no-untyped-def]
        """Elements of C (+)= the dot products of rows of A with a vector B."""
        strip(rows, 1, a, ao, a_row, 1, 0, b, bo, 1, 0, c, co, 1, depth, 1, accumulate)

else:

    @intrinsic(prefer_literal=True)
    def strip(  # type: ignore[no-untyped-def,misc]
        typing, rows, width, s, so, s_row, s_k, s_block, v, vo, v_k, v_block, c, co, c_row, depth, blocks, accumulate
    ):  # fmt: skip
        """C[rows, width] (+)= sum over blocks and k of S[rows, k] V[k, width].

        ``rows`` and ``width`` are literals: elements of S are broadcast, rows of V and C are vectors.
        """
        if not (isinstance(rows, types.IntegerLiteral) and isinstance(width, types.IntegerLiteral)):
            return None
        height, columns, i = rows.literal_value, width.literal_value, types.intp
        signature = types.void(rows, width, s, i, i, i, i, v, i, i, i, c, i, i, i, i, i)

        def codegen(context, builder, sig, args):
            so, s_row, s_k, s_block = args[3:7]
            vo, v_k, v_block = args[8:11]
            co, c_row, depth, blocks, accumulate = args[12:]
            arrays = {n: context.make_array(sig.args[n])(context, builder, args[n]) for n in (2, 7, 11)}
            _check(context, builder, arrays, args, height, columns)
            vectors = Vectors(builder, context.get_data_type(s.dtype), columns)
            fma = vectors.declare(f"fma.{vectors.name}", vectors.type, *[vectors.type] * 3)
            sums = [cgutils.alloca_once(builder, vectors.type) for _ in range(height)]
            for cell in sums:
                builder.store(vectors.zero, cell)
            # one sum after the other, as in the tile, so that a sample's bits don't depend on those beside it
            with cgutils.for_range(builder, blocks) as block, cgutils.for_range(builder, depth) as k:
                at = builder.add(vo, builder.add(builder.mul(block.index, v_block), builder.mul(k.index, v_k)))
                right = vectors.load(builder.gep(arrays[7].data, [at]))
                at = builder.add(so, builder.add(builder.mul(block.index, s_block), builder.mul(k.index, s_k)))
                for m, cell in enumerate(sums):
                    place = builder.add(at, builder.mul(s_row, integer(m)))
                    left = vectors.splat(builder.load(builder.gep(arrays[2].data, [place])))
                    builder.store(builder.call(fma, [left, right, builder.load(cell)]), cell)
            adds = builder.icmp_signed("!=", accumulate, integer(0))
            for m in range(height):
                total = builder.load(sums[m])
                place = builder.gep(arrays[11].data, [builder.add(co, builder.mul(c_row, integer(m)))])
                with builder.if_else(adds) as (add, put):
                    with add:
                        vectors.store(builder.fadd(vectors.load(place), total), place)
                    with put:
                        vectors.store(total, place)
            return context.get_dummy_value()

        return signature, codegen

    def _check(context: Any, builder: ir.IRBuilder, arrays: Any, args: Any, height: int, columns: int) -> None:
        """With NUMBA_BOUNDSCHECK, check the far corners of S, V and C (steps are not negative)."""
        if config.BOUNDSCHECK:
            k, blocks = (builder.sub(args[n], integer(1)) for n in (14, 15))
            row, column = integer(height - 1), integer(columns - 1)
            for n, start, parts in (
                (2, args[3], ((row, args[4]), (k, args[5]), (blocks, args[6]))),
                (7, args[8], ((k, args[9]), (blocks, args[10]), (column, integer(1)))),
                (11, args[12], ((row, args[13]), (column, integer(1)))),
            ):
                last = start
                for count, stride in parts:
                    last = builder.add(last, builder.mul(count, stride))
                check_bounds(context, builder, arrays[n], start, last)

    @intrinsic(prefer_literal=True)
    def dots(typing, rows, piece, a, ao, a_row, b, bo, c, co, depth, accumulate):  # type: ignore[no-untyped-def,misc]
        """Elements of C (+)= the dot products of rows of A with a vector B.

        How many rows, and how long a piece of them is taken at a time, are literal powers of two.
        """
        if not (isinstance(rows, types.IntegerLiteral) and isinstance(piece, types.IntegerLiteral)):
            return None
        height, width, i = rows.literal_value, piece.literal_value, types.intp
        signature = types.void(rows, piece, a, i, i, b, i, c, i, i, i)

        def codegen(context, builder, sig, args):
            ao, a_row, bo = args[3], args[4], args[6]
            co, depth, accumulate = args[8:]
            left, right, result = (context.make_array(sig.args[n])(context, builder, args[n]) for n in (2, 5, 7))
            _check_dots(context, builder, (left, right, result), args, height)
            v, part = (Vectors(builder, context.get_data_type(a.dtype), n) for n in (width, height))
            fma = v.declare(f"fma.{v.name}", v.type, *[v.type] * 3)
            sums = [cgutils.alloca_once(builder, v.type) for _ in range(height)]
            for cell in sums:
                builder.store(v.zero, cell)

            def step(k: Any, load: Any) -> None:
                other = load(builder.gep(right.data, [builder.add(bo, k)]))
                for m, cell in enumerate(sums):
                    at = builder.add(builder.add(ao, k), builder.mul(a_row, integer(m)))
                    row = load(builder.gep(left.data, [at]))
                    builder.store(builder.call(fma, [row, other, builder.load(cell)]), cell)

            whole = builder.mul(builder.sdiv(depth, integer(width)), integer(width))
            with cgutils.for_range_slice(builder, integer(0), whole, integer(width), inc=True) as (k, _):
                step(k, v.load)
            rest = builder.sub(depth, whole)
            with builder.if_then(builder.icmp_signed(">", rest, integer(0))):
                mask = v.first(rest)
                step(whole, lambda place: v.load_masked(place, mask))
            values = [builder.load(cell) for cell in sums]
            groups = [_add_across(builder, values[n : n + width]) for n in range(0, height, width)]
            while len(groups) > 1:  # side by side: a store as wide as what reads it is passed on without a wait
                groups = [_concatenate(builder, *groups[n : n + 2]) for n in range(0, len(groups), 2)]
            first = ir.Constant(ir.VectorType(I32, height), list(range(height)))
            total, place = builder.shuffle_vector(groups[0], groups[0], first), builder.gep(result.data, [co])
            adds = builder.icmp_signed("!=", accumulate, integer(0))
            with builder.if_else(adds) as (add, put):
                with add:
                    part.store(builder.fadd(part.load(place), total), place)
                with put:
                    part.store(total, place)
            return context.get_dummy_value()

        return signature, codegen

    def _add_across(b: ir.IRBuilder, rows: list[Any]) -> Any:
        """A vector that begins with the sum of each row, of at most as many rows as they have elements."""
        width = rows[0].type.count
        kind = ir.VectorType(I32, width)
        even, odd = (ir.Constant(kind, list(range(n, 2 * width, 2))) for n in (0, 1))
        for _ in range(width.bit_length() - 1):  # sums of neighbours, of two rows at a time
            pairs = [(rows[m], rows[min(m + 1, len(rows) - 1)]) for m in range(0, len(rows), 2)]
            rows = [b.fadd(b.shuffle_vector(*p, even), b.shuffle_vector(*p, odd)) for p in pairs]
        return rows[0]

    def _concatenate(b: ir.IRBuilder, left: Any, right: Any) -> Any:
        width = 2 * left.type.count
        return b.shuffle_vector(left, right, ir.Constant(ir.VectorType(I32, width), list(range(width))))

    def _check_dots(context: Any, builder: ir.IRBuilder, arrays: Any, args: Any, height: int) -> None:
        """With NUMBA_BOUNDSCHECK, check the far corners of A, B and C."""
        if config.BOUNDSCHECK:
            last, row = builder.sub(args[9], integer(1)), integer(height - 1)
            ends = (builder.add(builder.mul(args[4], row), last), last, row)
            for array, start, end in zip(arrays, (args[3], args[6], args[8]), ends, strict=True):
                check_bounds(context, builder, array, start, builder.add(start, end))


@inline
def _pieces(s, so, s_k, s_block, v, vo, v_k, v_block, c, co, depth, blocks, width, accumulate):
    """One row of any width, in pieces of falling powers of two."""
    j = 0
    while width - j >= 64:
        strip(1, 64, s, so, 0, s_k, s_block, v, vo + j, v_k, v_block, c, co + j, 0, depth, blocks, accumulate)
        j += 64
    if width & 32:
        strip(1, 32, s, so, 0, s_k, s_block, v, vo + j, v_k, v_block, c, co + j, 0, depth, blocks, accumulate)
        j += 32
    if width & 16:
        strip(1, 16, s, so, 0, s_k, s_block, v, vo + j, v_k, v_block, c, co + j, 0, depth, blocks, accumulate)
        j += 16
    if width & 8:
        strip(1, 8, s, so, 0, s_k, s_block, v, vo + j, v_k, v_block, c, co + j, 0, depth, blocks, accumulate)
        j += 8
    if width & 4:
        strip(1, 4, s, so, 0, s_k, s_block, v, vo + j, v_k, v_block, c, co + j, 0, depth, blocks, accumulate)
        j += 4
    if width & 2:
        strip(1, 2, s, so, 0, s_k, s_block, v, vo + j, v_k, v_block, c, co + j, 0, depth, blocks, accumulate)
        j += 2
    if width & 1:
        strip(1, 1, s, so, 0, s_k, s_block, v, vo + j, v_k, v_block, c, co + j, 0, depth, blocks, accumulate)


@inline
def _pieces_of_eight(s, so, s_row, s_k, s_block, v, vo, v_k, v_block, c, co, c_row, depth, blocks, width, accumulate):
    """Eight rows of any width, in pieces of falling powers of two."""
    j = 0
    while width - j >= 16:
        strip(8, 16, s, so, s_row, s_k, s_block, v, vo + j, v_k, v_block, c, co + j, c_row, depth, blocks, accumulate)
        j += 16
    if width & 8:
        strip(8, 8, s, so, s_row, s_k, s_block, v, vo + j, v_k, v_block, c, co + j, c_row, depth, blocks, accumulate)
        j += 8
    if width & 4:
        strip(8, 4, s, so, s_row, s_k, s_block, v, vo + j, v_k, v_block, c, co + j, c_row, depth, blocks, accumulate)
        j += 4
    if width & 2:
        strip(8, 2, s, so, s_row, s_k, s_block, v, vo + j, v_k, v_block, c, co + j, c_row, depth, blocks, accumulate)
        j += 2
    if width & 1:
        strip(8, 1, s, so, s_row, s_k, s_block, v, vo + j, v_k, v_block, c, co + j, c_row, depth, blocks, accumulate)


@inline
def one_lane(a, ao, a_row, a_k, a_block, b, bo, b_block, c, co, rows, depth, blocks, accumulate):
    """C[rows] (+)= A B with vectors along the rows of A if those are neighbours, else along k, in one block."""
    if a_row == 1:
        _pieces(b, bo, 1, b_block, a, ao, a_k, a_block, c, co, depth, blocks, rows, accumulate)
    else:
        r = 0
        while depth > 16 and rows - r >= 8:
            dots(8, 8, a, ao + r * a_row, a_row, b, bo, c, co + r, depth, accumulate)
            r += 8
        while depth > 4 and rows - r >= 16:
            dots(16, 8, a, ao + r * a_row, a_row, b, bo, c, co + r, depth, accumulate)
            r += 16
        while depth > 4 and rows - r >= 4:
            dots(4, 8, a, ao + r * a_row, a_row, b, bo, c, co + r, depth, accumulate)
            r += 4
        while rows - r >= 16:
            dots(16, 4, a, ao + r * a_row, a_row, b, bo, c, co + r, depth, accumulate)
            r += 16
        while rows - r >= 1:
            dots(1, 4, a, ao + r * a_row, a_row, b, bo, c, co + r, depth, accumulate)
            r += 1


@inline
def one_lane_strips(
    a, ao, a_row, a_k, a_block, b, bo, b_block, b_strip, c, co, c_strip, rows, depth, blocks, strips, accumulate
):  # fmt: skip
    """`one_lane` for each of ``strips`` B and C; where vectors lie along A's rows, eight share a load of A."""
    i = 0
    if a_row == 1:
        while strips - i >= 8:
            _pieces_of_eight(
                b, bo + i * b_strip, b_strip, 1, b_block, a, ao, a_k, a_block, c, co + i * c_strip, c_strip,
                depth, blocks, rows, accumulate,
            )  # fmt: skip
            i += 8
    while i < strips:
        one_lane(
            a, ao, a_row, a_k, a_block, b, bo + i * b_strip, b_block, c, co + i * c_strip,
            rows, depth, blocks, accumulate,
        )  # fmt: skip
        i += 1
