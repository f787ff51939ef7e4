"""Normalization of (position, channel) with lanes contiguous, and the scale and shift that follow it.

What a batch has in common is worked out in two stages: each block leaves its sums in its tail, behind its
rows; when all have, every worker puts the tails together, in the same order.
"""

from __future__ import annotations

import numpy as np
from numpy import sqrt

from numbanet.cpu.jit import inline, kernel
from numbanet.cpu.memory import grid, view
from numbanet.cpu.plan import BLOCKS, SAMPLES

# sections of a tail, each a number for every channel: the block's own mean and squared deviations, the batch's mean,
# variance and 1 / deviation; going back, the block's own sums of dz and dz z, and the batch's means of them
OWN_MEAN, OWN_SQUARES, MEAN, VARIANCE, INVERSE, OWN_SLOPE, OWN_PRODUCT, SLOPE, PRODUCT = range(9)
SECTIONS = 9


@inline
def _add(work, sums, x, y, positions, pitch, size):
    """Add up ``size`` elements of x, or of x y, over positions, lane by lane."""
    total = view(work, sums, size)
    for p in range(positions):
        left = view(work, x + p * pitch, size)
        if y < 0:
            for k in range(size):
                total[k] += left[k]
        else:
            right = view(work, y + p * pitch, size)
            for k in range(size):
                total[k] += left[k] * right[k]


@kernel
def channel_gradient(grads, at, work, op, base, stride, blocks, lanes, first, last, accumulate, ahead):
    """Elements (+)= sums over positions and lanes of dz, or of x dz.

    Op: parameter, channels, 1, dz, positions, scratch, x (or -1).
    """
    size, sums = (last - first) * lanes, base + (op[6] + first) * lanes
    view(work, sums, size)[:] = 0
    for i in range(blocks):
        block = base + i * stride + first * lanes
        x = block + op[7] * lanes if op[7] >= 0 else -1
        _add(work, sums, block + op[4] * lanes, x, op[5], op[2] * lanes, size)
    for r in range(last - first):
        total = _sum(work, sums + r * lanes, lanes)
        grads[at + r] = total + grads[at + r] if accumulate else total


@inline
def _sum(work, start, count):
    values = view(work, start, count)
    total = values[0] - values[0]
    for i in range(count):
        total += values[i]
    return total


@kernel
def affine_forward(params, hyper, work, op, base, stride, blocks, lanes):
    """z = scale x + shift for each channel; op: x, z, positions, channels, scale, shift (each or -1)."""
    channels, scales, shifts = op[4], op[5], op[6]
    for i in range(blocks * op[3]):
        block, p = base + i // op[3] * stride, i % op[3]
        x = grid(work, block + (op[1] + p * channels) * lanes, channels, lanes)
        z = grid(work, block + (op[2] + p * channels) * lanes, channels, lanes)
        for c in range(channels):
            scale = params[scales + c] if scales >= 0 else np.float32(1)
            shift = params[shifts + c] if shifts >= 0 else np.float32(0)
            for lane in range(lanes):
                z[c, lane] = scale * x[c, lane] + shift


@kernel
def affine_backward(params, hyper, work, op, base, stride, blocks, lanes):
    """dx = scale dz; op: dz, dx, positions, channels, scale (or -1)."""
    channels, scales = op[4], op[5]
    for i in range(blocks * op[3]):
        block, p = base + i // op[3] * stride, i % op[3]
        dz = grid(work, block + (op[1] + p * channels) * lanes, channels, lanes)
        dx = grid(work, block + (op[2] + p * channels) * lanes, channels, lanes)
        for c in range(channels):
            scale = params[scales + c] if scales >= 0 else np.float32(1)
            for lane in range(lanes):
                dx[c, lane] = scale * dz[c, lane]


@kernel
def layer_forward(params, hyper, work, op, base, stride, blocks, lanes):
    """z = (x - mean) / sqrt(variance + epsilon) over the channels of each position.

    Op: x, z, positions, channels, 1 / deviation, hyper: epsilon, 1 / channels.
    """
    epsilon, share = hyper[op[6]], hyper[op[6] + 1]
    for i in range(blocks * op[3]):
        block, p = base + i // op[3] * stride, i % op[3]
        x = grid(work, block + (op[1] + p * op[4]) * lanes, op[4], lanes)
        z = grid(work, block + (op[2] + p * op[4]) * lanes, op[4], lanes)
        inverse = view(work, block + (op[5] + p) * lanes, lanes)
        inverse[:] = 0
        for c in range(op[4]):
            for lane in range(lanes):
                inverse[lane] += x[c, lane] * share
        for c in range(op[4]):
            for lane in range(lanes):
                z[c, lane] = x[c, lane] - inverse[lane]
        inverse[:] = epsilon
        for c in range(op[4]):
            for lane in range(lanes):
                inverse[lane] += z[c, lane] * z[c, lane] * share
        for lane in range(lanes):
            inverse[lane] = np.float32(1) / sqrt(inverse[lane])
        for c in range(op[4]):
            for lane in range(lanes):
                z[c, lane] *= inverse[lane]


@kernel
def layer_backward(params, hyper, work, op, base, stride, blocks, lanes):
    """dz becomes dx = (dz - mean(dz) - z mean(dz z)) / deviation.

    Op: dz, z, positions, channels, 1 / deviation, hyper: epsilon, 1 / channels; scratch.
    """
    share = hyper[op[6] + 1]
    for i in range(blocks * op[3]):
        block, p = base + i // op[3] * stride, i % op[3]
        dz = grid(work, block + (op[1] + p * op[4]) * lanes, op[4], lanes)
        z = grid(work, block + (op[2] + p * op[4]) * lanes, op[4], lanes)
        inverse = view(work, block + (op[5] + p) * lanes, lanes)
        mean, product = view(work, block + op[7] * lanes, lanes), view(work, block + (op[7] + 1) * lanes, lanes)
        mean[:] = 0
        product[:] = 0
        for c in range(op[4]):
            for lane in range(lanes):
                mean[lane] += dz[c, lane] * share
                product[lane] += dz[c, lane] * z[c, lane] * share
        for c in range(op[4]):
            for lane in range(lanes):
                dz[c, lane] = (dz[c, lane] - mean[lane] - z[c, lane] * product[lane]) * inverse[lane]


@inline
def _tail(base, stride, op, section):
    """Where a section of a block's tail starts; op[3] are its channels, op[4] says how far from the end it is."""
    return base + stride - op[4] + section * op[3]


@kernel
def batch_measure(params, hyper, work, op, base, stride, blocks, lanes):
    """Mean and sum of squared deviations of each block; op: x, positions, channels, tail, scratch."""
    size = op[3] * lanes
    for i in range(blocks):
        block = base + i * stride
        samples = int(work[block + stride - SAMPLES])
        x, sums = block + op[1] * lanes, block + op[5] * lanes
        mean = view(work, _tail(block, stride, op, OWN_MEAN), op[3])
        squares = view(work, _tail(block, stride, op, OWN_SQUARES), op[3])
        total = grid(work, sums, op[3], lanes)
        view(work, sums, size)[:] = 0
        _add(work, sums, x, -1, op[2], size, size)
        for c in range(op[3]):
            mean[c] = _sum(work, sums + c * lanes, samples) / (samples * op[2])
        view(work, sums, size)[:] = 0
        for p in range(op[2]):
            values = grid(work, x + p * size, op[3], lanes)
            for c in range(op[3]):
                for lane in range(lanes):
                    total[c, lane] += (values[c, lane] - mean[c]) * (values[c, lane] - mean[c])
        for c in range(op[3]):
            squares[c] = _sum(work, sums + c * lanes, samples)


@inline
def _merge(work, base, stride, op, epsilon):
    """Mean, variance and 1 / deviation of the batch, into the tail of the block at ``base``.

    Chan, Golub, LeVeque, Updating formulae and a pairwise algorithm for computing sample variances (1979).
    """
    mean = view(work, _tail(base, stride, op, MEAN), op[3])
    variance = view(work, _tail(base, stride, op, VARIANCE), op[3])
    inverse = view(work, _tail(base, stride, op, INVERSE), op[3])
    for c in range(op[3]):
        count = middle = squares = 0.0
        for i in range(int(work[base + stride - BLOCKS])):
            more = work[(i + 1) * stride - SAMPLES] * op[2]
            shift = np.float64(work[_tail(i * stride, stride, op, OWN_MEAN) + c]) - middle
            squares += work[_tail(i * stride, stride, op, OWN_SQUARES) + c]
            squares += shift * shift * count * more / (count + more)
            count += more
            middle += shift * more / count
        mean[c], variance[c] = middle, squares / count
        inverse[c] = 1 / sqrt(squares / count + epsilon)


@kernel
def batch_forward(params, hyper, work, op, base, stride, blocks, lanes):
    """z = (x - mean) / sqrt(variance + epsilon) of the batch; op: x, positions, channels, tail, z, hyper."""
    _merge(work, base, stride, op, hyper[op[6]])
    mean = view(work, _tail(base, stride, op, MEAN), op[3])
    inverse = view(work, _tail(base, stride, op, INVERSE), op[3])
    for i in range(blocks * op[2]):
        block, p = base + i // op[2] * stride, i % op[2]
        x = grid(work, block + (op[1] + p * op[3]) * lanes, op[3], lanes)
        z = grid(work, block + (op[5] + p * op[3]) * lanes, op[3], lanes)
        for c in range(op[3]):
            for lane in range(lanes):
                z[c, lane] = (x[c, lane] - mean[c]) * inverse[c]


@kernel
def batch_measure_slope(params, hyper, work, op, base, stride, blocks, lanes):
    """Sums of dz and of dz z of each block; op: dz, positions, channels, tail, scratch, z."""
    size = op[3] * lanes
    for i in range(blocks):
        block = base + i * stride
        samples = int(work[block + stride - SAMPLES])
        dz, z, sums = block + op[1] * lanes, block + op[6] * lanes, block + op[5] * lanes
        for section in (OWN_SLOPE, OWN_PRODUCT):
            view(work, sums, size)[:] = 0
            _add(work, sums, dz, z if section == OWN_PRODUCT else -1, op[2], size, size)
            for c in range(op[3]):
                work[_tail(block, stride, op, section) + c] = _sum(work, sums + c * lanes, samples)


@kernel
def batch_backward(params, hyper, work, op, base, stride, blocks, lanes):
    """dz becomes dx = (dz - mean(dz) - z mean(dz z)) / deviation, and 0 in spare lanes.

    Op: dz, positions, channels, tail, z.
    """
    slope = view(work, _tail(base, stride, op, SLOPE), op[3])
    product = view(work, _tail(base, stride, op, PRODUCT), op[3])
    inverse = view(work, _tail(base, stride, op, INVERSE), op[3])
    for c in range(op[3]):
        count = first = second = 0.0
        for i in range(int(work[base + stride - BLOCKS])):
            count += work[(i + 1) * stride - SAMPLES] * op[2]
            first += work[_tail(i * stride, stride, op, OWN_SLOPE) + c]
            second += work[_tail(i * stride, stride, op, OWN_PRODUCT) + c]
        slope[c], product[c] = first / count, second / count
    for i in range(blocks * op[2]):
        block, p = base + i // op[2] * stride, i % op[2]
        samples = int(work[block + stride - SAMPLES])
        dz = grid(work, block + (op[1] + p * op[3]) * lanes, op[3], lanes)
        z = grid(work, block + (op[5] + p * op[3]) * lanes, op[3], lanes)
        for c in range(op[3]):
            for lane in range(lanes):
                dz[c, lane] = (dz[c, lane] - slope[c] - z[c, lane] * product[c]) * inverse[c]
            dz[c, samples:] = 0


@kernel
def batch_gradient(grads, at, work, op, base, stride, blocks, lanes, first, last, accumulate, ahead):
    """Mean and variance of the batch, by which running averages go; op: mean, 2, channels, tail."""
    if not accumulate:  # they are those of all blocks
        for r in range(first, last):
            values = view(work, _tail(base, stride, op, MEAN + r), op[3])
            for c in range(op[3]):
                grads[at + (r - first) * op[3] + c] = values[c]


@kernel
def moving_forward(params, hyper, work, op, base, stride, blocks, lanes):
    """z = (x - mean) / sqrt(variance + epsilon) of the running averages.

    Op: x, positions, channels, mean, z, hyper: epsilon; scratch for 1 / deviation.
    """
    positions, channels, means = op[2], op[3], op[4]
    inverse = view(work, base + op[7] * lanes, channels)
    for c in range(channels):
        inverse[c] = np.float32(1) / sqrt(params[means + channels + c] + hyper[op[6]])
    for i in range(blocks * positions):
        block, p = base + i // positions * stride, i % positions
        x = grid(work, block + (op[1] + p * channels) * lanes, channels, lanes)
        z = grid(work, block + (op[5] + p * channels) * lanes, channels, lanes)
        for c in range(channels):
            mean = params[means + c]
            for lane in range(lanes):
                z[c, lane] = (x[c, lane] - mean) * inverse[c]


@kernel
def moving_backward(params, hyper, work, op, base, stride, blocks, lanes):
    """dz becomes dx = dz / sqrt(variance + epsilon); op: dz, positions, channels, mean, hyper: epsilon."""
    positions, channels, means = op[2], op[3], op[4]
    for i in range(blocks * positions):
        block, p = base + i // positions * stride, i % positions
        dz = grid(work, block + (op[1] + p * channels) * lanes, channels, lanes)
        for c in range(channels):
            inverse = np.float32(1) / sqrt(params[means + channels + c] + hyper[op[5]])
            for lane in range(lanes):
                dz[c, lane] *= inverse
