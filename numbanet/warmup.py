"""Compiles ahead of time what training would compile at its first use.

The cheapest way that leaves nothing out is to do it: each name trains a network of a few units for one step, by the
backend and past the trainer's checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from numbanet.layers import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    GlobalAvgPool,
    GlobalMaxPool,
    Layer,
    LayerNorm,
    MaxPool2D,
    Residual,
)
from numbanet.model import Sequential
from numbanet.registry import entries, get
from numbanet.spec import Activation

KINDS = ("activation", "loss", "optimizer", "regularizer")
IMAGE, VECTOR = (6, 6, 1), (4,)
SAMPLES = 3
LAYERS: dict[str, tuple[tuple[int, ...], Sequence[Layer]]] = {
    "convolution": (IMAGE, [Conv2D(2, 3, padding="same"), Conv2D(2, 3), Flatten()]),
    "max pooling": (IMAGE, [Conv2D(2, 3), MaxPool2D(2), Flatten()]),
    "average pooling": (IMAGE, [Conv2D(2, 3), AvgPool2D(2), Flatten()]),
    "global pooling": (IMAGE, [Residual([Conv2D(1, 1), GlobalMaxPool()], [Conv2D(1, 1), GlobalAvgPool()])]),
    "batch normalization": (VECTOR, [Dense(4), BatchNorm()]),
    "layer normalization": (VECTOR, [Dense(4), LayerNorm()]),
    "noise": (VECTOR, [Dense(4), Dropout(0.5), GaussianNoise(0.1)]),
    "embedding": (VECTOR, [Embedding(3, 2), Flatten()]),
    "residual": (VECTOR, [Dense(4), Residual([Dense(4)])]),
}


def jobs(dtype: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """What is to be compiled: the driver, layers, and every name of a formula.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        Working type.

    Returns
    -------
    iterator of tuple
        What it is, and what compiles it, or loads it from the disk cache.
    """
    yield "driver", partial(_train, dtype, classes=True, loss="softmax_cross_entropy")
    for name, (shape, layers) in LAYERS.items():
        yield f"layer {name}", partial(_train, dtype, shape, layers)
    for kind, entry in entries():
        if kind in KINDS:
            change: dict[str, Any] = {kind: entry.spec}
            yield f"{kind} {entry.spec.name}", partial(_train, dtype, **change)


def check_cache() -> None:
    """Refuse to compile for nothing.

    Raises
    ------
    RuntimeError
        If nothing is compiled, or no folder can be written.
    """
    from numba import config

    from numbanet.system import cache_folders

    if config.DISABLE_JIT:
        raise RuntimeError("NUMBA_DISABLE_JIT is set, under which nothing is compiled; unset it")
    if not cache_folders().writable:
        raise RuntimeError("the cache can't be written; set NUMBA_CACHE_DIR to a folder that can")


def compiled() -> int:
    """Kernels in the disk cache."""
    from numbanet.system import cache_folders

    return sum(path.suffix == ".nbc" for path in cache_folders().files())


def remember(types: Sequence[str]) -> None:
    """Note that kernels of these types are there."""
    from numbanet.cpu.generate import remember_type

    for dtype in types:
        remember_type(dtype)


def _train(dtype: str, shape: tuple[int, ...] = VECTOR, layers: Sequence[Layer] = (), *, classes: bool = False,
           activation: Any = "relu", loss: Any = "mean_squared_error", optimizer: Any = "adam",
           regularizer: Any = "l2") -> None:
    """Predict with a network, and do a step with it unless its activation has no derivative."""
    from numbanet.cpu.engine import Engine
    from numbanet.cpu.predictor import Predictor

    activation = get("activation", activation)
    graph = Sequential([*layers, Dense(2, activation), Dense(2)]).describe(shape)
    params, X = np.zeros(graph.size, dtype), np.zeros((SAMPLES, graph.input.size), dtype)
    Predictor(graph, dtype)(params, X)
    if not _trainable(activation):
        return
    y = np.zeros((SAMPLES, 1 if classes else 2), dtype)
    engine = Engine(graph, get("loss", loss), get("optimizer", optimizer), None, get("regularizer", regularizer),
                    dtype=dtype, threads=1)
    engine.train(params, X, y, None, classes=classes, batch=SAMPLES - 1, epochs=1, epoch=0, seed=0)
    engine.evaluate(params, X, y, None, classes=classes)


def _trainable(activation: Activation) -> bool:
    from numbanet._source import FormulaError

    try:
        return activation.slope is not None
    except FormulaError:  # none can be derived, which is for training to say
        return False
