"""Noise of training: the same for a sample, a step and a seed, whoever computes it."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from numbanet.cpu.generate import compile_text, translator
from numbanet.cpu.jit import kernel
from numbanet.cpu.memory import view, words
from numbanet.cpu.random import uniform


@kernel
def dropout(params, hyper, work, op, base, stride, blocks, lanes):
    """z = x / (1 - rate) where a random number is at least the rate, else 0.

    Op: x, z, units, keys, number of the first unit's stream, positions that share a unit's, hyper: rate,
    1 / (1 - rate).
    """
    rate, share, nothing = hyper[op[7]], hyper[op[7] + 1], work.dtype.type(0)
    for i in range(blocks):
        block = base + i * stride
        keys = words(work, block + op[4] * lanes, lanes)
        for k in range(op[3] * op[6]):
            x, z = view(work, block + (op[1] + k) * lanes, lanes), view(work, block + (op[2] + k) * lanes, lanes)
            unit = op[5] + k % op[3]
            for lane in range(lanes):
                z[lane] = x[lane] * (share if uniform(keys[lane], unit) >= rate else nothing)


def normal(u):
    """Standard normal number from one that is uniform in (0, 1).

    Giles, Approximating the erfinv function (GPU Computing Gems, 2011), for float32.
    """
    x = 2.0 * u - 1.0
    w = -math.log((1.0 - x) * (1.0 + x))
    near = w - 2.5
    far = math.sqrt(w) - 3.0
    centre = 2.81022636e-08
    centre = 3.43273939e-07 + centre * near
    centre = -3.5233877e-06 + centre * near
    centre = -4.39150654e-06 + centre * near
    centre = 0.00021858087 + centre * near
    centre = -0.00125372503 + centre * near
    centre = -0.00417768164 + centre * near
    centre = 0.246640727 + centre * near
    centre = 1.50140941 + centre * near
    tail = -0.000200214257
    tail = 0.000100950558 + tail * far
    tail = 0.00134934322 + tail * far
    tail = -0.00367342844 + tail * far
    tail = 0.00573950773 + tail * far
    tail = -0.0076224613 + tail * far
    tail = 0.00943887047 + tail * far
    tail = 1.00167406 + tail * far
    tail = 2.83297682 + tail * far
    return 1.4142135623730951 * x * (centre if w < 5.0 else tail)


@cache
def gaussian(dtype: str) -> Any:
    """Kernel z = x + deviation n; op: x, z, units, keys, number of the first unit's stream, hyper: deviation."""
    formulas = translator(dtype)
    name = formulas.scalar(normal)
    body = f"""@kernel
def gaussian(params, hyper, work, op, base, stride, blocks, lanes):
    deviation, half = hyper[op[6]], T(2.0**-24)  # u + half is exact, and never 1
    for i in range(blocks):
        block = base + i * stride
        keys = words(work, block + op[4] * lanes, lanes)
        for k in range(op[3]):
            x, z = view(work, block + (op[1] + k) * lanes, lanes), view(work, block + (op[2] + k) * lanes, lanes)
            unit = op[5] + k
            for lane in range(lanes):
                z[lane] = x[lane] + deviation * {name}(T(uniform(keys[lane], unit)) + half)
"""
    return compile_text("gaussian", formulas, body, uniform=uniform, words=words)
