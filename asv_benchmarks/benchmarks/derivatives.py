"""Derived derivatives beside those written by hand: time of the compiled kernels, one over the other."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from numbanet.builtins._common import sign
from numbanet.builtins.activations import numbanet_activations, sigmoid, softplus
from numbanet.builtins.losses import numbanet_losses
from numbanet.builtins.regularizers import numbanet_regularizers
from numbanet.cpu import elementwise, update
from numbanet.cpu.memory import aligned
from numbanet.spec import Activation, Loss, Regularizer

from .workloads import pin


def focal_derivative(z, t, alpha, gamma):
    miss = softplus(-z)
    alarm = softplus(z)
    p = sigmoid(z)
    q = sigmoid(-z)
    positive = -alpha * t * math.exp(-gamma * alarm) * (gamma * p * miss + q)
    return positive + (1.0 - alpha) * (1.0 - t) * math.exp(-gamma * miss) * (gamma * q * alarm + p)


UNITS, LANES, TRIES, BLOCKS = 32, 32, 60, 200  # all blocks are one, which stays in the first-level cache

BY_HAND: dict[str, Callable[..., float]] = {  # of built-ins that leave theirs to derivation
    "identity": lambda x, y: 1.0,
    "tanh": lambda x, y: 1.0 - y * y,
    "scaled_tanh": lambda x, y: 2.0 / 3.0 * (1.7159 - y * y / 1.7159),
    "leaky_relu": lambda x, y, alpha: 1.0 if x > 0 else alpha,
    "elu": lambda x, y, alpha: 1.0 if x > 0 else y + alpha,
    "exponential": lambda x, y: y,
    "mean_squared_error": lambda z, t: 2.0 * (z - t),
    "mean_absolute_error": lambda z, t: sign(z - t),
    "poisson_deviance": lambda z, t: math.exp(z) - t,
    "gamma_deviance": lambda z, t: 1.0 - t * math.exp(-z),
    "binary_cross_entropy": lambda z, t, label_smoothing: (
        sigmoid(z) - (t * (1.0 - label_smoothing) + 0.5 * label_smoothing)),
    "focal": focal_derivative,
    "hinge": lambda z, t: -t if 1.0 - t * z > 0 else 0.0,
    "squared_hinge": lambda z, t: -2.0 * t * max(1.0 - t * z, 0.0),
    "l1": lambda w, strength: strength * sign(w),
    "l2": lambda w, strength: strength * w,
    "elastic_net": lambda w, strength, l1_ratio: strength * (l1_ratio * sign(w) + (1.0 - l1_ratio) * w),
}
ALIASES = {"swish", "mse", "mae", "poisson", "gamma"}
PLUGINS = {
    f"{type(spec).__name__.lower()} {spec.name}": spec
    for spec in (*numbanet_activations(), *numbanet_losses(), *numbanet_regularizers())
    if spec.name not in ALIASES and (spec.derived or (spec.derivative is not None and not getattr(spec, "row", False)))
}


def backward(spec: Activation | Loss | Regularizer, dtype: str) -> partial:
    """Call of the kernel that computes a plugin's derivative."""
    rng, size = np.random.default_rng(0), UNITS * LANES
    hyper = np.array([*spec.params.values(), 1.0], dtype)
    if isinstance(spec, Regularizer):
        kernel = update.penalty_gradient(spec.slope, len(spec.params), dtype)
        params, grads = aligned(4 * size, dtype), aligned(4 * size, dtype)
        params[:] = rng.normal(size=params.size)
        op = np.zeros(2, np.int64)
        return partial(kernel, params, grads, 0, np.empty(0, dtype), hyper, op, hyper[-1:], 0, params.size)
    work = aligned(4 * size, dtype)
    work[:] = rng.normal(size=4 * size)
    if isinstance(spec, Loss):
        kernel, _ = elementwise.loss_kernel(spec, dtype)
        work[size : 2 * size] = 1  # a target that every loss takes
        op = np.array([0, 0, UNITS, 2 * UNITS, 3 * UNITS, 3 * UNITS + 1, UNITS, 0, 0], np.int64)
    else:
        work[size : 2 * size] = [spec.forward(float(x), *spec.params.values()) for x in work[:size]]
        kernel, _ = elementwise.backward(spec.slope, False, elementwise.in_place(spec), len(spec.params), dtype)
        op = np.array([0, 0, UNITS, UNITS, 0, 0, 2 * UNITS], np.int64)
    return partial(kernel, np.empty(0, dtype), hyper, work, op, 0, 0, BLOCKS, LANES)


class Derivatives:
    """Ratio of the times; the kernels take turns, and the fastest of many tries counts.

    A loss's kernel computes the loss as well, an activation's multiplies by the gradient.
    """

    params = (list(PLUGINS), ["float32", "float64"])
    param_names = ["plugin", "dtype"]
    timeout = 120

    def setup(self, name: str, dtype: str) -> None:
        pin(1)
        spec = PLUGINS[name]
        pair = (replace(spec, derivative=None), replace(spec, derivative=spec.derivative or BY_HAND[spec.name]))
        self.calls = [backward(spec, dtype) for spec in pair]
        for call in self.calls:
            call()

    def track_ratio(self, name: str, dtype: str) -> float:
        best = [float("inf")] * 2
        for _ in range(TRIES):
            for i, call in enumerate(self.calls):
                start = time.perf_counter()
                call()
                best[i] = min(best[i], time.perf_counter() - start)
        return best[0] / best[1]

    track_ratio.unit = "of the time of the one by hand"  # type: ignore[attr-defined]
