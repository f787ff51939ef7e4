"""Padding and pooling of images, (row, column, channel) with lanes contiguous."""

from __future__ import annotations

from numbanet.cpu.jit import inline, kernel
from numbanet.cpu.join import copy_elements
from numbanet.cpu.memory import view


@kernel
def pad(params, hyper, work, op, base, stride, blocks, lanes):
    """x amid a margin; op: x, z, height, width, channels, above, left, padded height and width, fill."""
    height, width, size, above, left, wide = op[3], op[4], op[5] * lanes, op[6], op[7], op[9]
    for i in range(blocks):
        at = base + i * stride
        view(work, at + op[2] * lanes, op[8] * wide * size)[:] = hyper[op[10]]
        for row in range(height):
            x, z = op[1] * lanes + row * width * size, op[2] * lanes + ((row + above) * wide + left) * size
            copy_elements(work, at + x, at + z, width * size)


@kernel
def crop(params, hyper, work, op, base, stride, blocks, lanes):
    """dx from what lies within the margin of dz; op: dx, dz, and the rest as in `pad`."""
    height, width, size, above, left, wide = op[3], op[4], op[5] * lanes, op[6], op[7], op[9]
    for i in range(blocks):
        at = base + i * stride
        for row in range(height):
            dx, dz = op[1] * lanes + row * width * size, op[2] * lanes + ((row + above) * wide + left) * size
            copy_elements(work, at + dz, at + dx, width * size)


@inline
def _geometry(op, lanes):
    """Width, a position's elements, window's height and width, strides, rows and columns of outputs."""
    return op[3], op[4] * lanes, op[5], op[6], op[7], op[8], op[9], op[10]


@kernel
def max_pool(params, hyper, work, op, base, stride, blocks, lanes):
    """Largest of each window, NaN if one is; op: x, z, width, channels, window, strides, rows, columns."""
    width, size, high, wide, down, right, rows, columns = _geometry(op, lanes)
    for i in range(blocks * rows * columns):
        at, position = base + i // (rows * columns) * stride, i % (rows * columns)
        corner = position // columns * down * width + position % columns * right
        z = view(work, at + op[2] * lanes + position * size, size)
        for j in range(high * wide):
            tap = corner + j // wide * width + j % wide
            x = view(work, at + op[1] * lanes + tap * size, size)
            if j == 0:
                for k in range(size):
                    z[k] = x[k]
            else:
                for k in range(size):
                    value, most = x[k], z[k]
                    most = value if value > most else most
                    z[k] = value if value != value else most


@kernel
def max_pool_backward(params, hyper, work, op, base, stride, blocks, lanes):
    """dz goes to the first of a window's largest; dz is used up.

    Op: x, z, width, channels, window, strides, rows, columns, dx, dz, elements of x.
    """
    width, size, high, wide, down, right, rows, columns = _geometry(op, lanes)
    for i in range(blocks):
        at = base + i * stride
        view(work, at + op[11] * lanes, op[13] * lanes)[:] = 0
        for position in range(rows * columns):
            corner = position // columns * down * width + position % columns * right
            z = view(work, at + op[2] * lanes + position * size, size)
            dz = view(work, at + op[12] * lanes + position * size, size)
            for j in range(high * wide):
                tap = corner + j // wide * width + j % wide
                x = view(work, at + op[1] * lanes + tap * size, size)
                dx = view(work, at + op[11] * lanes + tap * size, size)
                for k in range(size):
                    share, left = dz[k], dz[k] - dz[k]  # a literal 0 would be float64
                    found = x[k] == z[k]
                    dx[k] += share if found else left
                    dz[k] = left if found else share


@kernel
def average_pool(params, hyper, work, op, base, stride, blocks, lanes):
    """Mean of each window; op: x, z, width, channels, window, strides, rows, columns, share of an element."""
    width, size, high, wide, down, right, rows, columns = _geometry(op, lanes)
    for i in range(blocks * rows * columns):
        at, position = base + i // (rows * columns) * stride, i % (rows * columns)
        corner = position // columns * down * width + position % columns * right
        z = view(work, at + op[2] * lanes + position * size, size)
        z[:] = 0
        for j in range(high * wide):
            tap = corner + j // wide * width + j % wide
            x = view(work, at + op[1] * lanes + tap * size, size)
            for k in range(size):
                z[k] += x[k]
        for k in range(size):
            z[k] *= hyper[op[11]]


@kernel
def average_pool_backward(params, hyper, work, op, base, stride, blocks, lanes):
    """An equal part of dz to each of its window.

    Op: dx, dz, width, channels, window, strides, rows, columns, elements of x, share of an element.
    """
    width, size, high, wide, down, right, rows, columns = _geometry(op, lanes)
    for i in range(blocks):
        at = base + i * stride
        view(work, at + op[1] * lanes, op[11] * lanes)[:] = 0
        for position in range(rows * columns):
            corner = position // columns * down * width + position % columns * right
            dz = view(work, at + op[2] * lanes + position * size, size)
            for j in range(high * wide):
                tap = corner + j // wide * width + j % wide
                dx = view(work, at + op[1] * lanes + tap * size, size)
                for k in range(size):
                    dx[k] += dz[k] * hyper[op[12]]
