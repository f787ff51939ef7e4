"""The register tile: C[rows, width] (+)= A[rows, k] B[k, width], held in vector registers.

A is read one element at a time and broadcast, B and C in whole vectors. It is written in LLVM
IR because no loop vectoriser keeps the accumulators in registers over the whole of k.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from numbanet.cpu import host
from numbanet.cpu.cachelines import LINE, emit_prefetch
from numbanet.cpu.memory import I32, I64, check_bounds, integer


def suffix(element: ir.Type) -> str:
    """LLVM's name of a floating-point type in intrinsics."""
    return "f32" if isinstance(element, ir.FloatType) else "f64"


class Vectors:
    """Loads, stores and masks of vectors of one width."""

    def __init__(self, builder: ir.IRBuilder, element: ir.Type, width: int) -> None:
        self.b, self.width = builder, width
        self.type = ir.VectorType(element, width)
        self.align = 4 if isinstance(element, ir.FloatType) else 8
        self.name = f"v{width}{suffix(element)}"
        self.zero = ir.Constant(self.type, [0.0] * width)
        self.bits = ir.VectorType(ir.IntType(1), width)

    def declare(self, name: str, result: ir.Type, *arguments: ir.Type) -> Any:
        """LLVM intrinsic ``name`` of this vector type."""
        return cgutils.get_or_insert_function(self.b.module, ir.FunctionType(result, arguments), f"llvm.{name}")

    def load(self, pointer: Any) -> Any:
        """Unaligned load."""
        value = self.b.load(self.b.bitcast(pointer, self.type.as_pointer()))
        value.align = self.align
        return value

    def store(self, value: Any, pointer: Any) -> None:
        """Unaligned store."""
        self.b.store(value, self.b.bitcast(pointer, self.type.as_pointer())).align = self.align

    def splat(self, scalar: Any) -> Any:
        """The scalar in every element."""
        kind = ir.VectorType(scalar.type, self.width)
        undef = ir.Constant(kind, ir.Undefined)
        one = self.b.insert_element(undef, scalar, ir.Constant(I32, 0))
        return self.b.shuffle_vector(one, undef, ir.Constant(ir.VectorType(I32, self.width), [0] * self.width))

    def first(self, count: Any) -> Any:
        """Mask of the first ``count`` elements, none if it is not positive."""
        index = ir.Constant(ir.VectorType(I32, self.width), list(range(self.width)))
        return self.b.icmp_signed("<", index, self.splat(self.b.trunc(count, I32)))

    def load_masked(self, pointer: Any, mask: Any) -> Any:
        """Load where the mask is set, zero elsewhere; nothing else is touched."""
        pointer = self.b.bitcast(pointer, self.type.as_pointer())
        load = self.declare(f"masked.load.{self.name}.p0", self.type, pointer.type, I32, self.bits, self.type)
        return self.b.call(load, [pointer, ir.Constant(I32, self.align), mask, self.zero])


def store_part(v: Vectors, values: Any, places: Any, columns: Any, nothing: Any, adds: Any) -> None:
    """Store the first ``columns`` of each row in pieces of falling powers of two.

    Masked stores take ten times as long on some processors.
    """
    b = v.b
    last = max(j for _, j in values)
    for (m, j), value in values.items():
        if j < last:
            v.store(b.fadd(v.load(b.select(adds, places[m, j], nothing)), value), places[m, j])
    left = b.sub(columns, integer(last * v.width))
    rows = [m for m, j in values if j == last]
    heads = [places[m, last] for m in rows]
    parts = [values[m, last] for m in rows]
    size = v.width // 2
    while size:
        piece = Vectors(b, v.type.element, size)
        low, high = (ir.Constant(ir.VectorType(I32, n), list(r)) for n, r in
                     ((size, range(size)), (v.width, [*range(size, v.width), *range(size)])))  # fmt: skip
        skip, take, after = b.block, b.append_basic_block("take"), b.append_basic_block("after")
        b.cbranch(b.icmp_signed("!=", b.and_(left, integer(size)), integer(0)), take, after)
        b.position_at_end(take)
        moved = []
        for place, part in zip(heads, parts, strict=True):
            old = piece.load(b.select(adds, place, nothing))
            piece.store(b.fadd(old, b.shuffle_vector(part, part, low)), place)
            moved.append((b.gep(place, [integer(size)]), b.shuffle_vector(part, part, high)))
        b.branch(after)
        b.position_at_end(after)
        merged = []
        for before, then in zip(zip(heads, parts, strict=True), moved, strict=True):
            pair = tuple(b.phi(value.type) for value in before)
            for phi, old, new in zip(pair, before, then, strict=True):
                phi.add_incoming(old, skip)
                phi.add_incoming(new, take)
            merged.append(pair)
        heads, parts = [p for p, _ in merged], [q for _, q in merged]
        size //= 2


def _opaque(b: ir.IRBuilder, value: Any) -> Any:
    """A pointer of which LLVM does not know where it points.

    Otherwise it computes every address of A from the one before, a chain longer than a narrow tile's arithmetic.
    """
    return b.asm(ir.FunctionType(value.type, [value.type]), "", "=r,0", [value], False)


def _tile_function(module: ir.Module, element: ir.Type, height: int, vectors: int, width: int) -> ir.Function:
    """LLVM function of the tile of one height, ``vectors`` registers of ``width`` elements wide."""
    name = f"numbanet_tile_{suffix(element)}_{height}x{vectors}x{width}"
    if name in module.globals:
        return module.globals[name]
    pointer = element.as_pointer()
    # a, its steps by row, k and block; b, its steps by k and block; c, its step by row; k, blocks, columns, adds;
    # first and last address to fetch
    arguments = [pointer, I64, I64, I64, pointer, I64, I64, pointer, *[I64] * 7]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    a, a_row, a_k, a_block, right, b_k, b_block, c, c_row, depth, blocks, columns, accumulate = function.args[:13]
    ahead, until = function.args[13:]
    b = ir.IRBuilder(function.append_basic_block("entry"))
    v = Vectors(b, element, width)
    fma = v.declare(f"fma.{v.name}", v.type, v.type, v.type, v.type)
    cells = [(m, j) for m in range(height) for j in range(vectors)]
    near = (height + 1) // 2  # two pointers share half as many offsets of rows, which stay in registers
    offsets = [b.mul(a_row, integer(m)) for m in range(near)]
    far = b.gep(a, [b.mul(a_row, integer(near))])
    entry, outer, inner, latch, done = (b.block, *(b.append_basic_block(n) for n in ("block", "k", "next", "done")))
    b.branch(outer)

    b.position_at_end(outer)
    block, a_outer, far_outer, b_outer = b.phi(I64), b.phi(pointer), b.phi(pointer), b.phi(pointer)
    ahead_outer = b.phi(I64)
    carried = {cell: b.phi(v.type) for cell in cells}
    b.branch(inner)

    b.position_at_end(inner)
    k, pa, p_far, pb, line = b.phi(I64), b.phi(pointer), b.phi(pointer), b.phi(pointer), b.phi(I64)
    acc = {cell: b.phi(v.type) for cell in cells}
    loaded = [v.load(b.gep(pb, [integer(j * width)])) for j in range(vectors)]
    new = {}
    for m in range(height):
        left = v.splat(b.load(b.gep(p_far if m >= near else pa, [offsets[m % near]])))
        for j in range(vectors):
            new[m, j] = b.call(fma, [left, loaded[j], acc[m, j]])
    emit_prefetch(b, line)
    next_line = b.add(line, integer(LINE))
    next_line = b.select(b.icmp_unsigned("<", next_line, until), next_line, until)
    k_next = b.add(k, integer(1))
    steps = (
        (k, integer(0), k_next),
        (pa, a_outer, _opaque(b, b.gep(pa, [a_k]))),
        (p_far, far_outer, _opaque(b, b.gep(p_far, [a_k]))),
        (pb, b_outer, b.gep(pb, [b_k])),
        (line, ahead_outer, next_line),
    )
    for phi, start, value in (*steps, *((acc[cell], carried[cell], new[cell]) for cell in cells)):
        phi.add_incoming(start, outer)
        phi.add_incoming(value, inner)
    b.cbranch(b.icmp_signed("<", k_next, depth), inner, latch)

    b.position_at_end(latch)
    next_block = b.add(block, integer(1))
    steps = (
        (block, integer(0), next_block),
        (a_outer, a, b.gep(a_outer, [a_block])),
        (far_outer, far, b.gep(far_outer, [a_block])),
        (b_outer, right, b.gep(b_outer, [b_block])),
        (ahead_outer, ahead, next_line),
    )
    for phi, start, value in (*steps, *((carried[cell], v.zero, new[cell]) for cell in cells)):
        phi.add_incoming(start, entry)
        phi.add_incoming(value, latch)
    b.cbranch(b.icmp_signed("<", next_block, blocks), outer, done)

    b.position_at_end(done)
    places = {(m, j): b.gep(c, [b.add(b.mul(c_row, integer(m)), integer(j * width))]) for m, j in cells}
    adds = b.icmp_signed("!=", accumulate, integer(0))
    with b.if_else(b.icmp_signed(">=", columns, integer(width * vectors))) as (whole, part):
        with whole, b.if_else(adds) as (add, put):
            with add:
                for cell, place in places.items():
                    v.store(b.fadd(v.load(place), new[cell]), place)
            with put:
                for cell, place in places.items():
                    v.store(new[cell], place)
        with part:
            nothing = b.alloca(v.type)
            b.store(v.zero, nothing)
            store_part(v, new, places, columns, b.bitcast(nothing, pointer), adds)
    b.ret_void()
    return function


if config.DISABLE_JIT:

    def tile(  # type: ignore[no-untyped-def]
        rows, a, ao, a_row, a_k, a_block, b, bo, b_k, b_block, c, co, c_row, depth, blocks, width, accumulate,
        ahead, until,
    ):  # fmt: skip
        """C[rows, width] (+)= sum over blocks and k of A[rows, k] B[k, width]."""
        m, i, k, j = np.arange(rows)[:, None], np.arange(blocks)[:, None], np.arange(depth), np.arange(width)
        steps = (i * a_block + k * a_k).ravel()
        left = a[ao + m * a_row + steps]
        right = b[bo + (i * b_block + k * b_k).ravel()[:, None] + j]
        place = co + m * c_row + j
        c[place] = left @ right + (c[place] if accumulate else 0)

else:

    @intrinsic
    def tile(  # type: ignore[no-untyped-def,misc]
        typing, rows, a, ao, a_row, a_k, a_block, b, bo, b_k, b_block, c, co, c_row, depth, blocks, width, accumulate,
        ahead, until,
    ):  # fmt: skip
        """C[rows, width] (+)= sum over blocks and k of A[rows, k] B[k, width].

        ``rows`` is at most the height of the host's tile, ``width`` at most its lanes; B is
        readable to a whole vector. With every k the next cache line from the address ``ahead``
        to ``until`` is fetched.
        """
        i = types.intp
        signature = types.void(i, a, i, i, i, i, b, i, i, i, c, *[i] * 8)
        shape = host.tile(str(a.dtype))

        def codegen(context, builder, sig, args):
            arrays = {n: context.make_array(sig.args[n])(context, builder, args[n]) for n in (1, 6, 10)}
            rows, ao, bo, co, width = args[0], args[2], args[7], args[11], args[15]
            _check(context, builder, arrays, args)
            pointers = [builder.gep(arrays[n].data, [o]) for n, o in ((1, ao), (6, bo), (10, co))]
            call = [pointers[0], *args[3:6], pointers[1], *args[8:10], pointers[2], *args[12:]]
            done = builder.append_basic_block("tile.done")
            element = context.get_data_type(sig.args[1].dtype)
            # a narrow vector, one vector or the full width: the first that holds the columns
            kinds = sorted({(1, shape.narrow), (1, shape.vector), (shape.vectors, shape.vector)})
            kind = integer(0)
            for vectors, size in kinds[:-1]:
                kind = builder.add(kind, builder.zext(builder.icmp_signed(">", width, integer(vectors * size)), I64))
            switch = builder.switch(builder.add(builder.mul(rows, integer(len(kinds))), kind), done)
            for height in range(1, shape.height + 1):
                for n, (vectors, size) in enumerate(kinds):
                    case = builder.append_basic_block(f"tile.{height}x{vectors}x{size}")
                    switch.add_case(integer(height * len(kinds) + n), case)
                    builder.position_at_end(case)
                    builder.call(_tile_function(builder.module, element, height, vectors, size), call)
                    builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return signature, codegen


def _check(context: Any, builder: Any, arrays: Any, args: Any) -> None:
    """With NUMBA_BOUNDSCHECK, check the far corners of A, B and C (steps are not negative)."""
    if config.BOUNDSCHECK:
        one = integer(1)
        rows, k, blocks = (builder.sub(args[n], one) for n in (0, 13, 14))
        columns = builder.sub(args[15], one)
        for n, start, parts in (
            (1, args[2], ((rows, args[3]), (k, args[4]), (blocks, args[5]))),
            (6, args[7], ((k, args[8]), (blocks, args[9]), (columns, one))),
            (10, args[11], ((rows, args[12]), (columns, one))),
        ):
            last = start
            for count, step in parts:
                last = builder.add(last, builder.mul(count, step))
            check_bounds(context, builder, arrays[n], start, last)
