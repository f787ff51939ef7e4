"""A policy learned inside a compiled environment.

A pole stands on a cart (Barto, Sutton, Anderson, 1983); each hundredth of a second the policy pushes left or right.
Its weights are one flat vector, so the cross-entropy method tries many policies in a parallel compiled loop, keeps
the best, and draws the next from around them: no gradient, no Python within a generation.
"""

import time

import numba
import numpy as np

import numbanet as nn
from numbanet.export import to_njit

LIMIT = 1000
model = nn.Sequential([nn.Dense(8, "tanh"), nn.Dense(1)])
model.build((4,), dtype="float64")
predict = to_njit(model).predict


@numba.njit
def episode(params, seed):
    """Steps until the pole falls or the cart leaves its track."""
    np.random.seed(seed)  # noqa: NPY002  compiled code has its own generator
    state, push = np.random.uniform(-0.1, 0.1, 4), np.empty(1)  # noqa: NPY002
    for step in range(LIMIT):
        predict(params, state, push)
        force = 10.0 if push[0] > 0 else -10.0
        _, speed, angle, turning = state
        sine, cosine = np.sin(angle), np.cos(angle)
        pressed = (force + 0.05 * turning**2 * sine) / 1.1
        turned = (9.8 * sine - cosine * pressed) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
        moved = pressed - 0.05 * turned * cosine / 1.1
        state += 0.02 * np.array([speed, moved, turning, turned])
        if abs(state[0]) > 2.4 or abs(state[2]) > 0.21:
            return step
    return LIMIT


@numba.njit(parallel=True)
def generation(policies, seed):
    """Mean length of ten episodes of each policy."""
    lengths = np.empty(len(policies))
    for i in numba.prange(len(policies)):
        total = 0
        for k in range(10):
            total += episode(policies[i], seed + k)
        lengths[i] = total / 10
    return lengths


rng = np.random.default_rng(0)
mean, spread = np.zeros(model.parameters.size), np.ones(model.parameters.size)
generation(mean[None], 0)
began = time.perf_counter()
for n in range(30):
    policies = mean + spread * rng.normal(size=(200, mean.size))
    lengths = generation(policies, 10 * n)
    best = policies[np.argsort(lengths)[-20:]]
    mean, spread = best.mean(0), best.std(0) + 0.05
    if lengths.mean() > 0.95 * LIMIT:
        break
spent = time.perf_counter() - began
model.parameters[:] = mean
kept = generation(mean[None], 10_000)[0]
print(f"{n + 1} generations of 200 policies in {spent:.2f} s; the last one's mean stands {lengths.mean():.0f} steps")
print(f"the policy learned holds the pole for {kept:.0f} of {LIMIT} steps in new episodes")
