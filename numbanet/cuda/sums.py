"""What crosses lanes: sums in a fixed order, whatever the threads."""

from __future__ import annotations

import math

from numbanet.cpu.normalize import INVERSE, MEAN, PRODUCT, SLOPE, VARIANCE
from numbanet.cuda.intrinsics import get, meet_block, put
from numbanet.cuda.slots import T, meet, meet_part

FAN = 16  # numbers that a thread adds up before the threads meet again


def block_sum(place, data, value):
    """Sum of a number of each thread of a block, in a fixed order."""
    data.sums[place.thread] = value
    meet_block()
    left = place.threads
    while left > 1:
        kept = (left + FAN - 1) // FAN
        if place.thread < kept:
            for i in range(place.thread + kept, left, kept):
                data.sums[place.thread] += data.sums[i]
        left = kept
        meet_block()
    total = data.sums[0]
    meet_block()
    return total


def sum_slices(grads, i, size, slices):
    """Sum of an element's slices, of which eight are under way at a time: memory is far."""
    total, at = grads[i], i + size
    for _ in range((slices - 1) // 8):
        one = (get(grads, at) + get(grads, at + size)) + (get(grads, at + 2 * size) + get(grads, at + 3 * size))
        at += 4 * size
        two = (get(grads, at) + get(grads, at + size)) + (get(grads, at + 2 * size) + get(grads, at + 3 * size))
        total, at = total + (one + two), at + 4 * size
    for _ in range((slices - 1) % 8):
        total, at = total + get(grads, at), at + size
    return total


def team_sum(place, data, section, value):
    """Sum of a number of each thread of all blocks."""
    own = block_sum(place, data, value)
    if place.blocks == 1:
        return own
    at = section * place.blocks
    if place.thread == 0:
        data.partial[at + place.block] = own
    meet()
    value = 0.0
    for i in range(place.thread, place.blocks, place.threads):
        value += data.partial[at + i]
    return block_sum(place, data, value)


def fold(rank, size, work, at, rows, lanes):
    """Add up each row over its lanes, into its first; other lanes are used up."""
    left = lanes
    while left > 1:
        kept = (left + FAN - 1) // FAN
        for t in range(rank, rows * kept, size):
            row = at + t // kept * lanes
            total = get(work, row + t % kept)
            for i in range(t % kept + kept, left, kept):
                total += get(work, row + i)
            put(work, row + t % kept, total)
        left = kept
        meet_part()


def gather_sums(rank, size, grads, slices, pitch, adds, work, base, lanes, sums, parts, offset, count):
    """Elements of the gradient from the first lane of their sums, of which there are several parts."""
    for i in range(rank, count, size):
        total = get(work, base + (sums + i) * lanes)
        for part in range(1, parts):
            total += get(work, base + (sums + part * count + i) * lanes)
        put(grads, offset + i, total + get(grads, offset + i) if adds else total)
        for other in range(1, slices):
            put(grads, other * pitch + offset + i, T(0))


def channel_sums(rank, size, work, base, lanes, channels, dz, positions, sums, x):
    """For each lane the sums over positions of dz, or of x dz where x >= 0."""
    for t in range(rank, channels * lanes, size):
        total = T(0)
        for p in range(positions):
            value = get(work, base + (dz + p * channels) * lanes + t)
            if x >= 0:
                value *= get(work, base + (x + p * channels) * lanes + t)
            total += value
        put(work, base + sums * lanes + t, total)


def embedding_gradient(rank, size, grads, slices, pitch, adds, work, base, lanes, table, rows, width, x, dz, positions):
    """Rows of the table's gradient (+)= dz where they were chosen, each element by one thread."""
    for t in range(rank, rows * width, size):
        row, d = t // width, t % width
        total = get(grads, table + t) if adds else T(0)
        for p in range(positions):
            for lane in range(lanes):
                if get(work, base + (x + p) * lanes + lane) == row:
                    total += get(work, base + (dz + p * width + d) * lanes + lane)
        put(grads, table + t, total)
        for other in range(1, slices):
            put(grads, other * pitch + table + t, T(0))


def batch_mean(rank, size, work, base, lanes, samples, x, positions, channels, mean, scratch):
    """Means over positions and samples of each channel, into ``work[mean:]``."""
    for t in range(rank, channels * lanes, size):
        total = T(0)
        for p in range(positions if t % lanes < samples else 0):
            total += get(work, base + (x + p * channels) * lanes + t)
        put(work, base + scratch * lanes + t, total)
    meet_part()
    fold(rank, size, work, base + scratch * lanes, channels, lanes)
    for c in range(rank, channels, size):
        put(work, mean + c, get(work, base + (scratch + c) * lanes) / T(samples * positions))
    meet_part()


def batch_measure(rank, size, work, base, lanes, samples, x, positions, channels, tail, scratch):
    """Mean and variance of each channel."""
    batch_mean(rank, size, work, base, lanes, samples, x, positions, channels, tail + MEAN * channels, scratch)
    for t in range(rank, channels * lanes, size):
        middle = get(work, tail + MEAN * channels + t // lanes)
        total = T(0)
        for p in range(positions if t % lanes < samples else 0):
            value = get(work, base + (x + p * channels) * lanes + t) - middle
            total += value * value
        put(work, base + scratch * lanes + t, total)
    meet_part()
    fold(rank, size, work, base + scratch * lanes, channels, lanes)
    for c in range(rank, channels, size):
        put(work, tail + VARIANCE * channels + c, get(work, base + (scratch + c) * lanes) / T(samples * positions))
    meet_part()


def batch_forward(rank, size, hyper, work, base, lanes, x, positions, channels, tail, z, at):
    """z = (x - mean) / sqrt(variance + epsilon)."""
    for t in range(rank, positions * channels * lanes, size):
        c = t // lanes % channels
        inverse = T(1) / math.sqrt(get(work, tail + VARIANCE * channels + c) + hyper[at])
        value = get(work, base + x * lanes + t) - get(work, tail + MEAN * channels + c)
        put(work, base + z * lanes + t, value * inverse)
        if t < channels * lanes and t % lanes == 0:
            put(work, tail + INVERSE * channels + c, inverse)


def batch_measure_slope(rank, size, work, base, lanes, samples, dz, positions, channels, tail, scratch, z):
    """Means of dz and of dz z of each channel."""
    batch_mean(rank, size, work, base, lanes, samples, dz, positions, channels, tail + SLOPE * channels, scratch)
    for t in range(rank, channels * lanes, size):
        total = T(0)
        for p in range(positions if t % lanes < samples else 0):
            row = p * channels * lanes + t
            total += get(work, base + dz * lanes + row) * get(work, base + z * lanes + row)
        put(work, base + scratch * lanes + t, total)
    meet_part()
    fold(rank, size, work, base + scratch * lanes, channels, lanes)
    for c in range(rank, channels, size):
        put(work, tail + PRODUCT * channels + c, get(work, base + (scratch + c) * lanes) / T(samples * positions))
    meet_part()


def batch_backward(rank, size, work, base, lanes, samples, dz, positions, channels, tail, z):
    """dz becomes dx = (dz - mean(dz) - z mean(dz z)) / deviation, and 0 in spare lanes."""
    for t in range(rank, positions * channels * lanes, size):
        c = t // lanes % channels
        middle = get(work, base + dz * lanes + t) - get(work, tail + SLOPE * channels + c)
        middle -= get(work, base + z * lanes + t) * get(work, tail + PRODUCT * channels + c)
        middle *= get(work, tail + INVERSE * channels + c)
        put(work, base + dz * lanes + t, middle if t % lanes < samples else T(0))



def batch_gradient(rank, size, grads, slices, pitch, adds, work, base, lanes, offset, channels, tail):
    """Mean and variance of the batch, by which running averages go."""
    for i in range(rank, 2 * channels, size):
        put(grads, offset + i, get(work, tail + MEAN * channels + i))
        for other in range(1, slices):
            put(grads, other * pitch + offset + i, T(0))
