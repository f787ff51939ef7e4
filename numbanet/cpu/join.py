"""Where a value goes two ways, and comes together again."""

from __future__ import annotations

from numbanet.cpu.jit import kernel
from numbanet.cpu.memory import view


@kernel
def add(params, hyper, work, op, base, stride, blocks, lanes):
    """z = x + y; op: x, y, z, elements."""
    for i in range(blocks):
        x = view(work, base + i * stride + op[1] * lanes, op[4] * lanes)
        y = view(work, base + i * stride + op[2] * lanes, op[4] * lanes)
        z = view(work, base + i * stride + op[3] * lanes, op[4] * lanes)
        for k in range(op[4] * lanes):
            z[k] = x[k] + y[k]


@kernel
def copy(params, hyper, work, op, base, stride, blocks, lanes):
    """z = x; op: x, z, elements."""
    for i in range(blocks):
        x = view(work, base + i * stride + op[1] * lanes, op[3] * lanes)
        z = view(work, base + i * stride + op[2] * lanes, op[3] * lanes)
        for k in range(op[3] * lanes):
            z[k] = x[k]
