"""What crosses lanes: sums in a fixed order, whatever the threads."""

from __future__ import annotations

import math

from numbanet.cpu.normalize import INVERSE, MEAN, PRODUCT, SLOPE, VARIANCE
from numbanet.cuda.slots import T, meet_part

FAN = 16  # numbers that a thread adds up before the threads meet again


def fold(rank, size, work, at, rows, lanes):  # type: ignore[no-untyped-def]
    """Add up each row over its lanes, into its first; other lanes are used up."""
    left = lanes
    while left > 1:
        kept = (left + FAN - 1) // FAN
        for t in range(rank, rows * kept, size):
            row = at + t // kept * lanes
            total = work[row + t % kept]
            for i in range(t % kept + kept, left, kept):
                total += work[row + i]
            work[row + t % kept] = total
        left = kept
        meet_part()


def gather_sums(rank, size, grads, slices, pitch, adds, work, base, lanes, sums, parts, offset, count):  # type: ignore[no-untyped-def]
    """Elements of the gradient from the first lane of their sums, of which there are several parts."""
    for i in range(rank, count, size):
        total = work[base + (sums + i) * lanes]
        for part in range(1, parts):
            total += work[base + (sums + part * count + i) * lanes]
        grads[offset + i] = total + grads[offset + i] if adds else total
        for other in range(1, slices):
            grads[other * pitch + offset + i] = 0


def channel_sums(rank, size, work, base, lanes, channels, dz, positions, sums, x):  # type: ignore[no-untyped-def]
    """For each lane the sums over positions of dz, or of x dz where x >= 0."""
    for t in range(rank, channels * lanes, size):
        total = T(0)
        for p in range(positions):
            value = work[base + (dz + p * channels) * lanes + t]
            if x >= 0:
                value *= work[base + (x + p * channels) * lanes + t]
            total += value
        work[base + sums * lanes + t] = total


def embedding_gradient(rank, size, grads, slices, pitch, adds, work, base, lanes, table, rows, width, x, dz, positions):  # type: ignore[no-untyped-def]
    """Rows of the table's gradient (+)= dz where they were chosen, each element by one thread."""
    for t in range(rank, rows * width, size):
        row, d = t // width, t % width
        total = grads[table + t] if adds else T(0)
        for p in range(positions):
            for lane in range(lanes):
                if work[base + (x + p) * lanes + lane] == row:
                    total += work[base + (dz + p * width + d) * lanes + lane]
        grads[table + t] = total
        for other in range(1, slices):
            grads[other * pitch + table + t] = 0


def batch_mean(rank, size, work, base, lanes, samples, x, positions, channels, mean, scratch):  # type: ignore[no-untyped-def]
    """Means over positions and samples of each channel, into ``work[mean:]``."""
    for t in range(rank, channels * lanes, size):
        total = T(0)
        for p in range(positions if t % lanes < samples else 0):
            total += work[base + (x + p * channels) * lanes + t]
        work[base + scratch * lanes + t] = total
    meet_part()
    fold(rank, size, work, base + scratch * lanes, channels, lanes)
    for c in range(rank, channels, size):
        work[mean + c] = work[base + (scratch + c) * lanes] / T(samples * positions)
    meet_part()


def batch_measure(rank, size, work, base, lanes, samples, x, positions, channels, tail, scratch):  # type: ignore[no-untyped-def]
    """Mean and variance of each channel."""
    batch_mean(rank, size, work, base, lanes, samples, x, positions, channels, tail + MEAN * channels, scratch)
    for t in range(rank, channels * lanes, size):
        middle = work[tail + MEAN * channels + t // lanes]
        total = T(0)
        for p in range(positions if t % lanes < samples else 0):
            value = work[base + (x + p * channels) * lanes + t] - middle
            total += value * value
        work[base + scratch * lanes + t] = total
    meet_part()
    fold(rank, size, work, base + scratch * lanes, channels, lanes)
    for c in range(rank, channels, size):
        work[tail + VARIANCE * channels + c] = work[base + (scratch + c) * lanes] / T(samples * positions)
    meet_part()


def batch_forward(rank, size, hyper, work, base, lanes, x, positions, channels, tail, z, at):  # type: ignore[no-untyped-def]
    """z = (x - mean) / sqrt(variance + epsilon)."""
    for t in range(rank, positions * channels * lanes, size):
        c = t // lanes % channels
        inverse = T(1) / math.sqrt(work[tail + VARIANCE * channels + c] + hyper[at])
        work[base + z * lanes + t] = (work[base + x * lanes + t] - work[tail + MEAN * channels + c]) * inverse
        if t < channels * lanes and t % lanes == 0:
            work[tail + INVERSE * channels + c] = inverse


def batch_measure_slope(rank, size, work, base, lanes, samples, dz, positions, channels, tail, scratch, z):  # type: ignore[no-untyped-def]
    """Means of dz and of dz z of each channel."""
    batch_mean(rank, size, work, base, lanes, samples, dz, positions, channels, tail + SLOPE * channels, scratch)
    for t in range(rank, channels * lanes, size):
        total = T(0)
        for p in range(positions if t % lanes < samples else 0):
            row = p * channels * lanes + t
            total += work[base + dz * lanes + row] * work[base + z * lanes + row]
        work[base + scratch * lanes + t] = total
    meet_part()
    fold(rank, size, work, base + scratch * lanes, channels, lanes)
    for c in range(rank, channels, size):
        work[tail + PRODUCT * channels + c] = work[base + (scratch + c) * lanes] / T(samples * positions)
    meet_part()


def batch_backward(rank, size, work, base, lanes, samples, dz, positions, channels, tail, z):  # type: ignore[no-untyped-def]
    """dz becomes dx = (dz - mean(dz) - z mean(dz z)) / deviation, and 0 in spare lanes."""
    for t in range(rank, positions * channels * lanes, size):
        c = t // lanes % channels
        middle = work[base + dz * lanes + t] - work[tail + SLOPE * channels + c]
        middle -= work[base + z * lanes + t] * work[tail + PRODUCT * channels + c]
        work[base + dz * lanes + t] = middle * work[tail + INVERSE * channels + c] if t % lanes < samples else T(0)



def batch_gradient(rank, size, grads, slices, pitch, adds, work, base, lanes, offset, channels, tail):  # type: ignore[no-untyped-def]
    """Mean and variance of the batch, by which running averages go."""
    for i in range(rank, 2 * channels, size):
        grads[offset + i] = work[tail + MEAN * channels + i]
        for other in range(1, slices):
            grads[other * pitch + offset + i] = 0
