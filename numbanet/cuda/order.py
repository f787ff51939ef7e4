"""The order of the samples."""

from __future__ import annotations

import numpy as np

from numbanet.cpu.random import mix
from numbanet.cuda.intrinsics import atomic_max
from numbanet.cuda.slots import meet
from numbanet.cuda.sums import team_sum


def row_of(plan, data, place):
    """Which sample is at a place of the order."""
    return np.int64(data.order[place]) if plan.ordered else np.int64(place)


def first_order(plan, data, rank, size):
    """That in which samples came."""
    if plan.ordered:
        for i in range(rank, plan.samples, size):
            data.order[i] = i
        meet()


def shuffle(place, data, n, seed, epoch):
    """The order that Fisher and Yates's exchanges give, many at a time.

    An exchange is made once no earlier one that is still to be made touches its two places: Shun, Gu, Blelloch,
    Fineman, Gibbons, Sequential random permutation, list contraction and tree contraction are highly parallel (2015).
    """
    key = mix(mix(np.uint64(seed)) + np.uint64(epoch))
    rank, size = place.block * place.threads + place.thread, place.blocks * place.threads
    claims, done = n, 2 * n
    for i in range(rank, n, size):
        data.order[i] = i
        data.order[claims + i] = 0
        data.order[done + i] = 0
    meet()
    left = 1.0
    while left > 0:
        for i in range(rank + 1, n, size):
            if data.order[done + i] == 0:
                atomic_max(data.order, claims + i, np.int32(i))
                atomic_max(data.order, claims + other(key, i), np.int32(i))
        meet()
        mine = 0.0
        for i in range(rank + 1, n, size):
            if data.order[done + i] == 0:
                j = other(key, i)
                if data.order[claims + i] == i and data.order[claims + j] == i:
                    data.order[i], data.order[j] = data.order[j], data.order[i]
                    data.order[done + i] = 1
                else:
                    mine += 1.0
        left = team_sum(place, data, 0, mine)  # after which nobody looks at claims
        for i in range(rank, n, size):
            data.order[claims + i] = 0
        meet()


def other(key, i):
    """With which place ``i`` is exchanged."""
    word = mix(key + np.uint64(i)) >> np.uint64(32)
    return np.int64((word * np.uint64(i + 1)) >> np.uint64(32))
