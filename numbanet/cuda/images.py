"""Images on the device, where a lane's kernel leaves threads with too much to do one after the other."""

from __future__ import annotations

from numbanet.cuda.intrinsics import get, put


def pad(rank, size, hyper, work, base, lanes, x, z, height, width, channels, above, left, tall, wide, fill):
    """x amid a margin, an element a thread."""
    for t in range(rank, tall * wide * channels * lanes, size):
        part, lane = t // lanes, t % lanes
        position, channel = part // channels, part % channels
        row, column = position // wide - above, position % wide - left
        value = hyper[fill]
        if 0 <= row < height and 0 <= column < width:
            value = get(work, base + (x + (row * width + column) * channels + channel) * lanes + lane)
        put(work, base + z * lanes + t, value)
