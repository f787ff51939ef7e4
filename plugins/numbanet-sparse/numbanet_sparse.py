"""Penalties and projections that make weights sparse, each penalty above its derivative.

A penalty's gradient passes through the optimiser, which moves weights close to 0 but hardly ever to 0. A projection
follows every step and sets weights to exactly 0; it is not part of the loss.
"""

import math
from collections.abc import Iterable

from numbanet import Regularizer, hookimpl

NUMBANET_API = 1


def sign(x):
    """-1, 0 or 1; NaN stays NaN."""
    return 1.0 if x > 0 else (-1.0 if x < 0 else x)


# -- penalties ------------------------------------------------------------------------------


def scad(w, strength, a):
    """strength |w|, which bends at strength and is constant beyond a strength (Fan & Li, 2001)."""
    size = min(abs(w), a * strength)
    bend = max(size - strength, 0.0)
    return strength * size - 0.5 * bend * bend / (a - 1.0)


def scad_derivative(w, strength, a):
    return sign(w) * min(strength, max(a * strength - abs(w), 0.0) / (a - 1.0))


def mcp(w, strength, gamma):
    """strength |w| - w^2 / (2 gamma), constant beyond gamma strength (Zhang, 2010)."""
    size = min(abs(w), gamma * strength)
    return size * (strength - 0.5 * size / gamma)


def mcp_derivative(w, strength, gamma):
    return sign(w) * max(strength - abs(w) / gamma, 0.0)


def log_sum(w, strength, epsilon):
    """strength log(1 + |w| / epsilon) (Candès, Wakin & Boyd, 2008)."""
    return strength * math.log1p(abs(w) / epsilon)


def log_sum_derivative(w, strength, epsilon):
    return strength * sign(w) / (abs(w) + epsilon)


def transformed_l1(w, strength, a):
    """strength (a + 1) |w| / (a + |w|), between the number of weights and l1 (Nikolova, 2000; Zhang & Xin, 2018)."""
    return strength * (a + 1.0) * (abs(w) / (a + abs(w)))


def transformed_l1_derivative(w, strength, a):
    share = a / (a + abs(w))
    return sign(w) * strength * (a + 1.0) / a * share * share


def weight_elimination(w, strength, scale):
    """strength w^2 / (scale^2 + w^2) (Weigend et al., 1991)."""
    r = min(abs(w) / scale, 1e18)
    return strength * (r * r / (1.0 + r * r))


def weight_elimination_derivative(w, strength, scale):
    r = min(max(w / scale, -1e18), 1e18)
    share = 1.0 / (1.0 + r * r)
    return 2.0 * strength / scale * (r * share) * share


# -- projections of the weights that enter a unit ---------------------------------------------------


def proximal_l1(w, threshold):
    """Each weight moves towards 0 by the threshold, at most to 0 (Daubechies, Defrise & De Mol, 2004)."""
    for j in range(len(w)):
        w[j] = w[j] - min(max(w[j], -threshold), threshold)


def hard_threshold(w, threshold):
    """Weights within the threshold become 0, others stay (Blumensath & Davies, 2009)."""
    for j in range(len(w)):
        w[j] = 0.0 if abs(w[j]) <= threshold else w[j]


def proximal_group_lasso(w, threshold):
    """The Euclidean norm of the row shrinks by the threshold, at most to 0 (Yuan & Lin, 2006)."""
    square = 0.0
    for j in range(len(w)):
        square += w[j] * w[j]
    norm = math.sqrt(square)
    scale = 1.0 - threshold / norm if norm > threshold else 0.0 * norm  # NaN stays NaN
    for j in range(len(w)):
        w[j] = w[j] * scale


def hoyer_projection(w, sparseness):
    """Raise the sparseness of a row to at least this; its Euclidean norm stays (Hoyer, 2004; Thom & Palm, 2013).

    The nearest such row is the row itself, each weight moved towards 0 by one threshold, then scaled. The threshold is
    bisected to a millionth of the largest weight.
    """
    peak = 0.0
    square = 0.0
    for j in range(len(w)):
        peak = max(peak, abs(w[j]))
        square += w[j] * w[j]
    root = math.sqrt(len(w))
    ratio = root - sparseness * (root - 1.0)  # of the sum of magnitudes to the norm
    low = 0.0 * peak
    high = peak
    for _ in range(20):
        middle = 0.5 * (low + high)
        left = 0.0
        left_square = 0.0
        for j in range(len(w)):
            part = max(abs(w[j]) - middle, 0.0)
            left += part
            left_square += part * part
        dense = left > ratio * math.sqrt(left_square)
        low = middle if dense else low
        high = high if dense else middle
    moved = high if low > 0 and high < peak else low  # a row that is sparse enough stays, and so does an even one
    left_square = 0.0
    for j in range(len(w)):
        part = max(abs(w[j]) - moved, 0.0)
        left_square += part * part
    scale = math.sqrt(square / left_square) if left_square > 0 else 0.0 * square
    for j in range(len(w)):
        w[j] = (w[j] - min(max(w[j], -moved), moved)) * scale


@hookimpl
def numbanet_regularizers() -> Iterable[Regularizer]:
    strength, above = {"strength": "[0, inf)"}, "(0, inf)"
    threshold = {"params": {"threshold": 1e-4}, "bounds": {"threshold": "[0, inf)"}}
    return (
        Regularizer("scad", penalty=scad, derivative=scad_derivative, params={"strength": 0.01, "a": 3.7},
                    bounds={**strength, "a": "(2, inf)"}),
        Regularizer("mcp", penalty=mcp, derivative=mcp_derivative, params={"strength": 0.01, "gamma": 3.0},
                    bounds={**strength, "gamma": "(1, inf)"}),
        Regularizer("log_sum", penalty=log_sum, derivative=log_sum_derivative,
                    params={"strength": 0.001, "epsilon": 0.1}, bounds={**strength, "epsilon": above}),
        Regularizer("transformed_l1", penalty=transformed_l1, derivative=transformed_l1_derivative,
                    params={"strength": 0.001, "a": 1.0}, bounds={**strength, "a": above}),
        Regularizer("weight_elimination", penalty=weight_elimination, derivative=weight_elimination_derivative,
                    params={"strength": 0.001, "scale": 1.0}, bounds={**strength, "scale": above}),
        Regularizer("proximal_l1", project=proximal_l1, idempotent=False, **threshold),
        Regularizer("hard_threshold", project=hard_threshold, **threshold),
        Regularizer("proximal_group_lasso", project=proximal_group_lasso, idempotent=False, **threshold),
        Regularizer("hoyer", project=hoyer_projection, params={"sparseness": 0.5}, bounds={"sparseness": "[0, 1)"}),
    )
