"""Dense layers as matrix products of the register tile.

The bias is the last row of the weights, of shape ``(inputs + 1, units)``: the weight of an input
that is always one. So the products forward and for dW include it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from numba import types

from numbanet.cpu import host
from numbanet.cpu.cachelines import address_of, take
from numbanet.cpu.jit import invoke, kernel
from numbanet.cpu.memory import view
from numbanet.cpu.strip import one_lane_strips
from numbanet.cpu.tile import tile

HEIGHT = host.tile("float32").height  # the same for every dtype


@cache
def product_signature(dtype: str) -> Any:
    """Signature of `product`, which the kernels call by its address: its many tiles are compiled once."""
    real, i = getattr(types, dtype)[::1], types.intp
    return types.void(real, *[i] * 4, real, *[i] * 4, real, *[i] * 9, types.int64[::1])


@kernel
def product(
    a, ao, a_row, a_k, a_block, b, bo, b_k, b_block, b_strip,
    c, co, c_row, c_strip, rows, depth, blocks, width, strips, accumulate, ahead,
):  # fmt: skip
    """C[rows, width] (+)= A B for any number of rows, in tiles of nearly equal height.

    Done for each of ``strips`` B and C; a tile's rows of A, which may be the larger matrix, are
    used for all of them while they are in the cache. Meanwhile what is on the stack
    ``ahead`` is fetched.
    """
    if width == 1 and b_k == 1 and c_row == 1 and (a_row == 1 or (a_k == 1 and blocks == 1)):
        one_lane_strips(
            a, ao, a_row, a_k, a_block, b, bo, b_block, b_strip, c, co, c_strip, rows, depth, blocks, strips, accumulate
        )
        return
    tiles = (rows + HEIGHT - 1) // HEIGHT
    row = 0
    for i in range(tiles):
        height = (rows - row + tiles - i - 1) // (tiles - i)
        for strip in range(strips):
            line, until = take(ahead, depth * blocks)
            if line == 0:
                line = until = address_of(c, co)
            tile(
                height, a, ao + row * a_row, a_row, a_k, a_block, b, bo + strip * b_strip, b_k, b_block,
                c, co + row * c_row + strip * c_strip, c_row, depth, blocks, width, accumulate, line, until,
            )  # fmt: skip
        row += height


@kernel
def forward(params, hyper, work, op, base, stride, blocks, lanes):
    """z = W' x; op: weights, x, z, inputs, units, bias (1 or 0), product."""
    inputs, units, nothing_ahead = op[4], op[5], view(op, 0, 0)
    if op[6]:
        for i in range(blocks):
            view(work, base + i * stride + (op[2] + inputs) * lanes, lanes)[:] = 1
    invoke(
        op[7], params, op[1], 1, units, 0, work, base + op[2] * lanes, lanes, 0, stride,
        work, base + op[3] * lanes, lanes, stride, units, inputs + op[6], 1, lanes, blocks, 0, nothing_ahead,
    )  # fmt: skip


@kernel
def backward(params, hyper, work, op, base, stride, blocks, lanes):
    """dx = W dz; op: weights, dz, dx, inputs, units, product."""
    inputs, units, nothing_ahead = op[4], op[5], view(op, 0, 0)
    invoke(
        op[6], params, op[1], units, 1, 0, work, base + op[2] * lanes, lanes, 0, stride,
        work, base + op[3] * lanes, lanes, stride, inputs, units, 1, lanes, blocks, 0, nothing_ahead,
    )  # fmt: skip


@kernel
def gradient(grads, at, work, op, base, stride, blocks, lanes, first, last, accumulate, ahead):
    """Rows of dW (+)= x dz' over blocks, at ``grads[at]``.

    Op: weights, rows, units, x, dz as panels, vector, product.
    """
    units, vector = op[3], op[6]
    x = base + (op[4] + first) * lanes
    panel = base + op[5] * lanes
    for u in range(0, units, 2 * vector):
        width = 2 * vector if units - u > vector else vector
        invoke(
            op[7], work, x, lanes, 1, stride, work, panel, width, stride, 0,
            grads, at + u, units, 0, last - first, lanes, blocks, min(width, units - u), 1, accumulate, ahead,
        )  # fmt: skip
        panel += width * lanes
