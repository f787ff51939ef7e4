"""Kernels of the squared distance, and how a node becomes operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numbanet.cpu.jit import kernel
from numbanet.cpu.memory import grid, view

if TYPE_CHECKING:
    from numbanet.cpu.program import Program
    from numbanet.graph import Node


@kernel
def forward(params, hyper, work, op, base, stride, blocks, lanes):
    """t = |x - center|^2 and z = scale^2 t; op: centers, scales, x, t, z, inputs, units."""
    for i in range(blocks):
        block = base + i * stride
        x = grid(work, block + op[3] * lanes, op[6], lanes)
        t = grid(work, block + op[4] * lanes, op[7], lanes)
        z = grid(work, block + op[5] * lanes, op[7], lanes)
        for k in range(op[7]):
            t[k, :] = 0
            for d in range(op[6]):
                center = params[op[1] + d * op[7] + k]
                for lane in range(lanes):
                    gap = x[d, lane] - center
                    t[k, lane] += gap * gap
            scale = params[op[2] + k]
            for lane in range(lanes):
                z[k, lane] = scale * scale * t[k, lane]


@kernel
def backward(params, hyper, work, op, base, stride, blocks, lanes):
    """dx, and the block's share of d centers and d scales, which gradients, without params, could not work out.

    Op: centers, scales, x, t, dz, dx (or -1), shares, inputs, units.
    """
    inputs, units = op[8], op[9]
    zero = work.dtype.type(0)
    for i in range(blocks):
        block = base + i * stride
        x = grid(work, block + op[3] * lanes, inputs, lanes)
        t = grid(work, block + op[4] * lanes, units, lanes)
        dz = grid(work, block + op[5] * lanes, units, lanes)
        dx = grid(work, block + (op[6] if op[6] >= 0 else op[3]) * lanes, inputs, lanes)
        shares = grid(work, block + stride - op[7], inputs + 1, units)
        if op[6] >= 0:
            dx[:, :] = 0
        for k in range(units):
            scale = params[op[2] + k]
            factor = scale * scale + scale * scale
            total = zero
            for lane in range(lanes):
                total += dz[k, lane] * t[k, lane]
            shares[inputs, k] = (scale + scale) * total
            for d in range(inputs):
                center = params[op[1] + d * units + k]
                total = zero
                for lane in range(lanes):
                    total += dz[k, lane] * (x[d, lane] - center)
                shares[d, k] = -factor * total
                if op[6] >= 0:
                    for lane in range(lanes):
                        dx[d, lane] += factor * dz[k, lane] * (x[d, lane] - center)


@kernel
def gradient(grads, at, work, op, base, stride, blocks, lanes, first, last, accumulate, ahead):
    """Rows of d centers, and behind them d scales, (+)= the blocks' shares; op: centers, rows, units, shares."""
    size = (last - first) * op[3]
    total = view(grads, at, size)
    if not accumulate:
        total[:] = 0
    for i in range(blocks):
        share = view(work, base + (i + 1) * stride - op[4] + first * op[3], size)
        for k in range(size):
            total[k] += share[k]


def lower_forward(program: Program, node: Node) -> None:
    """z, and the rows of t, which the way back needs."""
    centers, scales = node.parameters
    program.kept[node] = (program.reserve(node.output.size),)
    program.passes.add(
        forward, centers.offset, scales.offset, program.place(node.input), *program.kept[node],
        program.place(node.output), node.input.size, node.output.size,
    )


def lower_backward(program: Program, node: Node) -> None:
    """dx, unless nothing before needs it; shares of the gradients, then their sums."""
    centers, scales = node.parameters
    inputs, units = node.input.size, node.output.size
    shares = program.reserve_tail((inputs + 1) * units)
    program.passes.add(
        backward, centers.offset, scales.offset, program.place(node.input), *program.kept[node],
        program.slope(node.output), -1 if node is program.first else program.slope(node.input), shares, inputs, units,
    )
    program.gradients.add(gradient, centers.offset, inputs + 1, units, shares)


SQUARED_DISTANCE = lower_forward, lower_backward
