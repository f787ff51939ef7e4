"""Where a value goes two ways, and comes together again."""

from __future__ import annotations

from numbanet.cpu.jit import inline, kernel
from numbanet.cpu.memory import view


@inline
def copy_elements(work, source, target, size):
    """Copy a part of the block elsewhere."""
    x, z = view(work, source, size), view(work, target, size)
    for k in range(size):
        z[k] = x[k]


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
        at = base + i * stride
        copy_elements(work, at + op[1] * lanes, at + op[2] * lanes, op[3] * lanes)
