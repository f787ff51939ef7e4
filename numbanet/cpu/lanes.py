"""Samples into lanes and back: transposes made of vector shuffles."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

from numbanet.cpu import host
from numbanet.cpu.jit import inline, kernel
from numbanet.cpu.memory import I32, I64, check_bounds, grid, integer, view
from numbanet.cpu.tile import Vectors, suffix

COUNT = np.arange(64)  # index of the rows of a matrix


def _shuffle(v: Vectors, rows: list) -> list:
    """Transpose of as many vectors as a vector has elements: log2(n) rounds of pairs."""
    n, step = v.width, 1
    while step < n:
        low = [i // step % 2 * n + i // (2 * step) * 2 * step + i % step for i in range(n)]
        mask_low = ir.Constant(ir.VectorType(I32, n), low)
        mask_high = ir.Constant(ir.VectorType(I32, n), [i + step for i in low])
        out = list(rows)
        for i in range(n):
            if i & step == 0:
                out[i] = v.b.shuffle_vector(rows[i], rows[i + step], mask_low)
                out[i + step] = v.b.shuffle_vector(rows[i], rows[i + step], mask_high)
        rows, step = out, 2 * step
    return rows


def _quarters(v: Vectors, rows: list) -> list:
    """Transpose of 4 x 4 within each quarter of four vectors, in two rounds of shuffles."""
    n = v.width

    def shuffle(x: Any, y: Any, pattern: tuple[int, int, int, int]) -> Any:
        mask = [4 * q + i + (n if i >= 4 else 0) - (4 if i >= 4 else 0) for q in range(n // 4) for i in pattern]
        return v.b.shuffle_vector(x, y, ir.Constant(ir.VectorType(I32, n), mask))

    low, high = (0, 4, 1, 5), (2, 6, 3, 7)
    pairs = [shuffle(rows[i], rows[i + 1], half) for half in (low, high) for i in (0, 2)]
    first, second = (0, 1, 4, 5), (2, 3, 6, 7)
    return [shuffle(pairs[i], pairs[i + 1], half) for i in (0, 2) for half in (first, second)]


def _load_quarters(v: Vectors, pointers: list, columns: Any) -> list:
    """Vectors of rows k, k + 4, k + 8, ... side by side, of at most four columns each."""
    quarter = Vectors(v.b, v.type.element, 4)
    mask = quarter.first(columns)
    parts = {row: quarter.load_masked(p, mask) for row, p in enumerate(pointers)}
    offset = 4
    while offset < v.width:
        both = ir.Constant(ir.VectorType(I32, 2 * offset), list(range(2 * offset)))
        parts = {
            row: v.b.shuffle_vector(part, parts[row + offset], both)
            for row, part in parts.items()
            if row // offset % 2 == 0
        }
        offset *= 2
    return list(parts.values())


def _store_columns(v: Vectors, values: list, outs: list, columns: Any, done: Any) -> None:
    """Store as many of the vectors as there are columns, then leave for ``done``."""
    for c, (value, place) in enumerate(zip(values, outs, strict=False)):
        store = v.b.append_basic_block(f"column.{c}")
        v.b.cbranch(v.b.icmp_signed(">", columns, integer(c)), store, done)
        v.b.position_at_end(store)
        v.store(value, place)
    v.b.branch(done)


def _least(b: ir.IRBuilder, value: Any, other: Any) -> Any:
    """The smaller of two integers."""
    other = integer(other) if isinstance(other, int) else other
    return b.select(b.icmp_signed("<", value, other), value, other)


def _transpose_function(module: ir.Module, element: ir.Type, width: int) -> ir.Function:
    """LLVM function of the transpose, one for all that call it in a module."""
    name = f"numbanet_transpose_{suffix(element)}_{width}"
    if name in module.globals:
        return module.globals[name]
    pointer = element.as_pointer()
    function = ir.Function(
        module, ir.FunctionType(ir.VoidType(), [pointer, I64.as_pointer(), pointer, I64, I64, I64, I64, I64]), name
    )
    function.linkage = "internal"
    function.attributes.add("noinline")
    source, index, out, pitch, shift, rows, columns, ld = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    v = Vectors(b, element, width)
    last = b.sub(rows, integer(1))
    pointers = []
    for lane in range(width):
        row = b.load(b.gep(index, [_least(b, integer(lane), last)]))
        pointers.append(b.gep(source, [b.add(b.mul(row, pitch), shift)]))
    outs = [b.gep(out, [b.mul(ld, integer(c))]) for c in range(width)]
    done = b.append_basic_block("done")
    with b.if_then(b.icmp_signed(">=", columns, integer(width))):
        for value, place in zip(_shuffle(v, [v.load(p) for p in pointers]), outs, strict=True):
            v.store(value, place)
        b.branch(done)
    if width > 4:
        narrow, wide = b.append_basic_block("narrow"), b.append_basic_block("wide")
        b.cbranch(b.icmp_signed("<=", columns, integer(4)), narrow, wide)
        b.position_at_end(narrow)
        _store_columns(v, _quarters(v, _load_quarters(v, pointers, columns)), outs, columns, done)
        b.position_at_end(wide)
    mask = v.first(columns)
    _store_columns(v, _shuffle(v, [v.load_masked(p, mask) for p in pointers])[:-1], outs, columns, done)
    b.position_at_end(done)
    b.ret_void()
    return function


def _transposition(size: str) -> Any:
    """``transpose`` for vectors of the given size of the host's tile.

    ``transpose(source, index, first, pitch, shift, rows, columns, out, start, ld)`` writes column c
    of the chosen rows, one vector of lanes, at ``out[start + c * ld]``. Lane i takes
    ``source[index[first + i] * pitch + shift + c]``, for c below ``columns`` and the vector's
    width; lanes from ``rows`` on repeat the last row.
    """
    if config.DISABLE_JIT:

        def plain(source, index, first, pitch, shift, rows, columns, out, start, ld):  # type: ignore[no-untyped-def]
            width = getattr(host.tile(str(out.dtype)), size)
            lanes = index[first + np.minimum(np.arange(width), rows - 1)] * pitch + shift
            for c in range(min(columns, width)):
                out[start + c * ld : start + c * ld + width] = source[lanes + c]

        return plain

    @intrinsic
    def transpose(typing, source, index, first, pitch, shift, rows, columns, out, start, ld):  # type: ignore[no-untyped-def,misc]
        i = types.intp
        width = getattr(host.tile(str(source.dtype)), size)

        def codegen(context, builder, sig, args):
            arrays = [context.make_array(sig.args[n])(context, builder, args[n]) for n in (0, 1, 7)]
            _, _, first, pitch, shift, rows, columns, _, start, ld = args
            pointers = [a.data for a in arrays]
            pointers[1] = builder.gep(pointers[1], [first])
            pointers[2] = builder.gep(pointers[2], [start])
            final = builder.mul(ld, builder.sub(_least(builder, columns, width), integer(1)))
            end = builder.add(builder.add(start, final), integer(width - 1))
            check_bounds(context, builder, arrays[2], start, end)
            if config.BOUNDSCHECK:
                final = builder.sub(rows, integer(1))
                for lane in range(width):
                    row = builder.load(builder.gep(pointers[1], [_least(builder, integer(lane), final)]))
                    begin = builder.add(builder.mul(row, pitch), shift)
                    end = builder.add(begin, builder.sub(_least(builder, columns, width), integer(1)))
                    check_bounds(context, builder, arrays[0], begin, end)
            function = _transpose_function(builder.module, context.get_data_type(source.dtype), width)
            builder.call(function, [*pointers, pitch, shift, rows, columns, ld])
            return context.get_dummy_value()

        return types.void(source, index, i, i, i, i, i, out, i, i), codegen

    return transpose


transpose, transpose_narrow = _transposition("vector"), _transposition("narrow")


@inline
def last_lanes(samples, lanes, vector, narrow):
    """Lanes of a batch's last block: full, or as few vectors as hold its samples, or a narrow one."""
    rest = samples - (samples - 1) // lanes * lanes
    return narrow if rest <= narrow else (rest + vector - 1) // vector * vector


@kernel
def gather(samples, features, index, first, count, work, start, lanes, vector):
    """Samples ``index[first : first + count]`` as (feature, lane); spare lanes repeat the last.

    ``lanes`` are whole vectors and at most one narrow one, or a single lane.
    """
    if lanes == 1:
        x, sample = view(work, start, features), view(samples, index[first] * features, features)
        for f in range(features):
            x[f] = sample[f]
        return
    for group in range(0, lanes, vector):
        width = min(vector, lanes - group)
        rows = min(max(count - group, 1), width)
        begin = first + min(group, count - 1)
        for f in range(0, features, width):
            at = start + f * lanes + group
            if width == vector:
                transpose(samples, index, begin, features, f, rows, features - f, work, at, lanes)
            else:
                transpose_narrow(samples, index, begin, features, f, rows, features - f, work, at, lanes)


@kernel
def panels(params, hyper, work, op, base, stride, blocks, lanes):
    """Delta (unit, lane) as panels (lane, unit) as wide as the tile; op: delta, panel, units, vector."""
    units, vector = op[3], op[4]
    for i in range(blocks):
        delta = base + i * stride + op[1] * lanes
        panel = base + i * stride + op[2] * lanes
        for p in range(0, units, 2 * vector):
            width = 2 * vector if units - p > vector else vector
            for u in range(p, min(p + width, units), vector):
                rows = min(units - u, vector)
                for lane in range(0, lanes, vector):
                    transpose(
                        work, COUNT, 0, lanes, delta + u * lanes + lane, rows, lanes - lane,
                        work, panel + lane * width + u - p, width,
                    )  # fmt: skip
            panel += width * lanes


@kernel
def scatter(work, start, units, lanes, out, first, count):
    """Values (unit, lane) as the rows ``first`` to ``first + count`` of ``out``."""
    values = grid(work, start, units, lanes)
    rows = grid(out, first * units, count, units)
    for lane in range(count):
        for u in range(units):
            rows[lane, u] = values[u, lane]


@kernel
def one_hot(params, hyper, work, op, base, stride, blocks, lanes):
    """Class indices (1, lane) as rows (class, lane); op: index, rows, classes."""
    for i in range(blocks):
        index = view(work, base + i * stride + op[1] * lanes, lanes)
        rows = grid(work, base + i * stride + op[2] * lanes, op[3], lanes)
        for c in range(op[3]):
            label = np.float32(c)
            for lane in range(lanes):
                rows[c, lane] = index[lane] == label


@inline
def all_finite(work, at, size):
    """Whether a part of a block is finite."""
    values = view(work, at, size)
    bad = 0
    for i in range(size):
        bad += values[i] - values[i] != 0  # a sum of the values could overflow
    return bad == 0
