"""Convolutions as matrix products of the register tile, without copies of their windows.

Values are (row, column, channel), lanes contiguous, and weights (row, column, channel, unit). So a row
of a window is one run of lanes, and what the tile calls blocks are the rows of a window.
"""

from __future__ import annotations

from numbanet.cpu import host
from numbanet.cpu.dots import ROWS, dots
from numbanet.cpu.jit import inline, invoke, kernel
from numbanet.cpu.memory import view

COLUMNS = host.tile("float32").sums[1]  # the same for every dtype


@kernel
def forward(params, hyper, work, op, base, stride, blocks, lanes):
    """z = W * x + b.

    Op: weights, x, z, width, channels, window's height and width, strides, dilation, rows, columns,
    units, bias (or -1), its step from position to position, product.
    """
    width, channels, high, wide, down, right = op[4], op[5], op[6], op[7], op[8], op[9]
    gap_down, gap_right, rows, columns, units, bias, step = op[10], op[11], op[12], op[13], op[14], op[15], op[16]
    nothing_ahead = view(op, 0, 0)
    line, run = columns * units * lanes, wide * channels
    for i in range(blocks * rows):
        at, row = base + i // rows * stride, i % rows
        x = at + (op[2] + row * down * width * channels) * lanes
        z = at + op[3] * lanes + row * line
        if bias >= 0:
            for j in range(columns):
                place = bias + (row * columns + j) * step
                for u in range(units):
                    view(work, z + (j * units + u) * lanes, lanes)[:] = params[place + u]
        if gap_right == 1:
            invoke(
                op[17], params, op[1], 1, units, run * units, work, x, lanes, gap_down * width * channels * lanes,
                right * channels * lanes, work, z, lanes, units * lanes, units, run, high, lanes, columns,
                int(bias >= 0), nothing_ahead,
            )  # fmt: skip
        else:
            for j in range(high):
                invoke(
                    op[17], params, op[1] + j * run * units, 1, units, channels * units,
                    work, x + j * gap_down * width * channels * lanes, lanes, gap_right * channels * lanes,
                    right * channels * lanes, work, z, lanes, units * lanes, units, channels, wide, lanes, columns,
                    int(bias >= 0 or j > 0), nothing_ahead,
                )  # fmt: skip


@kernel
def backward(params, hyper, work, op, base, stride, blocks, lanes):
    """dx: each dz spreads over its window.

    Op: weights, dz, dx, width, channels, window's height and width, strides, dilation, rows, columns,
    units, height, product.
    """
    width, channels, high, wide, down, right = op[4], op[5], op[6], op[7], op[8], op[9]
    gap_down, gap_right, rows, columns, units, height = op[10], op[11], op[12], op[13], op[14], op[15]
    nothing_ahead = view(op, 0, 0)
    runs, run = (1, wide * channels) if gap_right == 1 else (wide, channels)
    for i in range(blocks):
        at = base + i * stride
        view(work, at + op[3] * lanes, height * width * channels * lanes)[:] = 0
        for row in range(rows):
            dz = at + (op[2] + row * columns * units) * lanes
            for j in range(high * runs):
                dx = (row * down + j // runs * gap_down) * width + j % runs * gap_right
                invoke(
                    op[16], params, op[1] + j * run * units, units, 1, 0, work, dz, lanes, 0, units * lanes,
                    work, at + (op[3] + dx * channels) * lanes, lanes, right * channels * lanes,
                    run, units, 1, lanes, columns, 1, nothing_ahead,
                )  # fmt: skip


@inline
def _tap(op, r):
    """Where row r of the weights looks, from a window's corner on."""
    width, channels, wide = op[6], op[7], op[9]
    j, k, c = r // (wide * channels), r // channels % wide, r % channels
    return (j * op[12] * width + k * op[13]) * channels + c


@kernel
def gradient(grads, at, work, op, base, stride, blocks, lanes, first, last, accumulate, ahead):
    """Rows of dW (+)= sums over positions and lanes of x dz, at ``grads[at]``.

    Op: weights, rows of weights, units, x, dz, width, channels, window's height and width, strides,
    dilation, rows, columns.
    """
    units, width, channels, down, right, rows, columns = op[3], op[6], op[7], op[10], op[11], op[14], op[15]
    x, dz = base + op[4] * lanes, base + op[5] * lanes
    for r in range(first, last, ROWS):
        end = last - 1
        starts = (
            x + _tap(op, r) * lanes, x + _tap(op, min(r + 1, end)) * lanes,
            x + _tap(op, min(r + 2, end)) * lanes, x + _tap(op, min(r + 3, end)) * lanes,
        )  # fmt: skip
        for u in range(0, units, COLUMNS):
            dots(
                work, starts, work, dz + u * lanes, lanes, lanes, columns, right * channels * lanes, units * lanes,
                rows, down * width * channels * lanes, columns * units * lanes, blocks, stride, stride,
                grads, at + (r - first) * units + u, units, min(ROWS, last - r), min(COLUMNS, units - u), accumulate,
            )  # fmt: skip
