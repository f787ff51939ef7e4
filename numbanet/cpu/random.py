"""Random numbers from counters: they depend on what is asked, not on who asks or in which order."""

from __future__ import annotations

import numpy as np

from numbanet.cpu.jit import inline, kernel
from numbanet.cpu.memory import words


@inline
def mix(x):
    """Splitmix64 (Steele, Lea, Flood 2014): a random word from a counter."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@kernel
def shuffle(order, seed, epoch):
    """Fisher-Yates: the order of an epoch depends on the seed and the epoch alone."""
    key = mix(mix(np.uint64(seed)) + np.uint64(epoch))
    n = order.size
    for i in range(n):
        order[i] = i
    for i in range(n - 1, 0, -1):
        word = mix(key + np.uint64(i)) >> np.uint64(32)
        j = np.int64((word * np.uint64(i + 1)) >> np.uint64(32))
        order[i], order[j] = order[j], order[i]


@inline
def bits32(x):
    """A random word from a word: xor, shift and multiply with constants of Wellons's hash-prospector."""
    x = np.uint32(np.uint32(x ^ (x >> np.uint32(16))) * np.uint32(0x21F0AAAD))
    x = np.uint32(np.uint32(x ^ (x >> np.uint32(15))) * np.uint32(0x735A2D97))
    return np.uint32(x ^ (x >> np.uint32(15)))


@inline
def uniform(key, unit):
    """Number from 0 to below 1, of 23 bits, from a lane's key and a unit's number.

    Two rounds, lest keys yield shifted sequences.
    """
    x = bits32(np.uint32(key ^ np.uint32(np.uint32(unit) * np.uint32(0x9E3779B9))))
    x = bits32(np.uint32(x + key))
    return np.float32(np.int32(x >> np.uint32(9))) * np.float32(2.0**-23)


@inline
def lane_key(key, sample):
    """Random word for a lane, from the step's key and the sample's place in the data."""
    return np.uint32(mix(key + np.uint64(sample)) >> np.uint64(32))


@inline
def lane_keys(key, order, first, count, work, at, lanes):
    """Random words for each lane."""
    keys = words(work, at, lanes)
    for i in range(lanes):
        keys[i] = lane_key(key, order[first + min(i, count - 1)])
