"""The machine's limit: fused multiply-adds of one core, measured."""

from __future__ import annotations

import time

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from numbanet.cpu import host
from numbanet.cpu.jit import kernel
from numbanet.cpu.memory import I64, integer
from numbanet.cpu.tile import Vectors

CHAINS = 12  # independent sums, enough to hide the latency of an addition
ROUNDS = 1_000_000


@intrinsic
def multiply_add(typing, out, rounds):  # type: ignore[no-untyped-def,misc]
    """Run ``rounds`` of `CHAINS` vector multiply-adds in registers."""
    width = host.tile(str(out.dtype)).vector

    def codegen(context, builder, sig, args):
        b = builder
        place = context.make_array(sig.args[0])(context, b, args[0]).data
        v = Vectors(b, context.get_data_type(out.dtype), width)
        fma = cgutils.get_or_insert_function(
            b.module, ir.FunctionType(v.type, [v.type] * 3), f"llvm.fma.{v.name}"
        )
        start = v.load(place)
        before, loop, done = b.block, b.append_basic_block("round"), b.append_basic_block("done")
        b.branch(loop)
        b.position_at_end(loop)
        i = b.phi(I64)
        sums = [b.phi(v.type) for _ in range(CHAINS)]
        new = [b.call(fma, [start, start, s]) for s in sums]
        following = b.add(i, integer(1))
        for phi, first, value in ((i, integer(0), following), *((s, start, n) for s, n in zip(sums, new, strict=True))):
            phi.add_incoming(first, before)
            phi.add_incoming(value, loop)
        b.cbranch(b.icmp_signed("<", following, args[1]), loop, done)
        b.position_at_end(done)
        total = new[0]
        for value in new[1:]:
            total = b.fadd(total, value)
        v.store(total, place)
        return context.get_dummy_value()

    return types.void(out, types.intp), codegen


@kernel
def run(out, rounds):
    """Run the multiply-adds."""
    multiply_add(out, rounds)


def fma_peak(dtype: str = "float32") -> float:
    """Floating-point operations a second that one core can do.

    Parameters
    ----------
    dtype : str
        "float32" or "float64".

    Returns
    -------
    float
        FLOP/s, the best of several short runs.
    """
    width = host.tile(dtype).vector
    out, times = np.zeros(width, dtype), []
    run(out, 1)
    for _ in range(20):
        began = time.perf_counter()
        run(out, ROUNDS)
        times.append(time.perf_counter() - began)
    return 2 * width * CHAINS * ROUNDS / min(times)
