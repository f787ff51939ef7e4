"""Random numbers from counters: they depend on what is asked, not on who asks or in which order."""

from __future__ import annotations

import numpy as np

from numbanet.cpu.jit import inline, kernel


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
