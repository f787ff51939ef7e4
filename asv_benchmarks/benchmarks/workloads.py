"""The networks on which numbanet and its peers are timed, and how."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

LEARNING_RATE = 3e-4
WINDOW = 5  # height and width of a convolution's


@dataclass(frozen=True)
class Workload:
    """A dense network, perhaps behind convolutions, trained with Adam in float32 on random data.

    Attributes
    ----------
    sizes : tuple of int
        Inputs of the first dense layer, hidden units of each layer, outputs.
    batch, samples : int
        Samples of a step and of an epoch, which is a whole number of steps.
    activation : str
        Of the hidden layers.
    classes : bool
        Whether targets are labels, with cross-entropy, or numbers, with mean squared error.
    image : tuple of int
        Height, width and channels of a sample, if there are convolutions.
    maps : tuple of int
        Filters of each convolution, of `WINDOW` x `WINDOW`, with the activation and a pooling of 2 x 2 behind it.
    """

    sizes: tuple[int, ...]
    batch: int
    samples: int
    activation: str = "relu"
    classes: bool = True
    image: tuple[int, int, int] = (0, 0, 0)
    maps: tuple[int, ...] = ()

    @property
    def steps(self) -> int:
        """Optimiser steps of an epoch."""
        return self.samples // self.batch

    @property
    def flops(self) -> int:
        """Floating-point operations of a step's matrix products.

        A layer has three: its output, the gradient of its weights and, but for the first layer, of its input.
        """
        products, (height, width, channels) = [], self.image
        for filters in self.maps:
            height, width = height - WINDOW + 1, width - WINDOW + 1
            products.append(2 * height * width * WINDOW**2 * channels * filters)
            height, width, channels = height // 2, width // 2, filters
        products += [2 * inputs * units for inputs, units in pairwise(self.sizes)]
        return self.batch * (3 * sum(products) - products[0])

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs of shape ``(samples, inputs)``, or images, and their targets."""
        rng = np.random.default_rng(0)
        shape = self.image if self.maps else self.sizes[:1]
        X = rng.standard_normal((self.samples, *shape), dtype=np.float32)
        if self.classes:
            return X, rng.integers(self.sizes[-1], size=self.samples)
        return X, rng.standard_normal((self.samples, self.sizes[-1]), dtype=np.float32)

    def trainer(self, threads: int) -> Any:
        """An untrained numbanet trainer of this network."""
        import numbanet as nn

        *hidden, outputs = self.sizes[1:]
        layers: list[Any] = [
            layer for filters in self.maps for layer in (nn.Conv2D(filters, WINDOW, self.activation), nn.MaxPool2D(2))
        ]
        if self.maps:
            layers.append(nn.Flatten())
        layers += [nn.Dense(units, activation=self.activation) for units in hidden]
        model = nn.Sequential([*layers, nn.Dense(outputs)])
        loss = "softmax_cross_entropy" if self.classes else "mean_squared_error"
        return nn.Trainer(model, loss=loss, optimizer=nn.Adam(learning_rate=LEARNING_RATE), threads=threads, seed=0)


WORKLOADS = {
    "tiny": Workload((4, 16, 3), batch=32, samples=6400),
    "digits": Workload((64, 64, 10), batch=32, samples=3584),
    "sklearn-default": Workload((64, 100, 10), batch=200, samples=4000),
    "mnist-mlp": Workload((784, 128, 10), batch=128, samples=12800),
    "wide": Workload((784, 512, 512, 10), batch=128, samples=6400),
    "surrogate": Workload((4, 32, 16, 4), batch=10_000, samples=10_000, activation="tanh", classes=False),
    "lenet": Workload((256, 120, 84, 10), batch=128, samples=3840, image=(28, 28, 1), maps=(6, 16)),
}


def cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pin(threads: int) -> None:
    """Keep this process, and what it starts, on as many cores as it has threads, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def fastest(call: Callable[[], object], seconds: float = 1.5, least: int = 3) -> float:
    """Seconds of the fastest call, after one that warms up, among at least so many calls and seconds."""
    call()
    times: list[float] = []
    while len(times) < least or sum(times) < seconds:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def seconds_a_step(workload: Workload, threads: int) -> float:
    """Seconds of one optimiser step of numbanet, in calls of `fit` of about 0.2 s."""
    X, y = workload.data()
    trainer = workload.trainer(threads)

    def fit(epochs: int) -> None:
        trainer.fit(X, y, epochs=epochs, batch_size=workload.batch, progress=False)

    epochs = max(1, round(0.2 / fastest(lambda: fit(1), seconds=0.2)))
    return fastest(lambda: fit(epochs)) / (epochs * workload.steps)
