"""The neocognitron: alternating layers of S-cells and C-cells, organised without a teacher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numbanet.checks import first_not, nonnegative_int, positive_int, real_array
from numbanet.data import as_features
from numbanet.models.stage import Stage, StageLayers

DIGITS = (
    Stage(planes=24, window=3, padding=1, selectivity=4.5, learning_rate=10, column=3,
          pool_size=3, pool_padding=1, saturation=0.3),
    Stage(planes=200, window=8, padding=1, selectivity=5, recall_selectivity=1.5, learning_rate=1000, column=3,
          pool_size=3),
)  # fmt: skip


def neocognitron(stages: Sequence[Stage] = DIGITS, *, input_shape: tuple[int, int] = (8, 8), seed: int = 0,
                 dtype: str = "float32") -> Neocognitron:
    """Fukushima's neocognitron, by default of a size for the 8 x 8 digits.

    Parameters
    ----------
    stages : sequence of Stage, optional
        From the input to the output; by default two, of 24 and 200 planes.
    input_shape : tuple of two ints, optional
        Height and width of an image.
    seed : int, optional
        Seed of the first connections and of the order of patterns.
    dtype : {"float32", "float64"}, optional
        Working type.

    Returns
    -------
    Neocognitron
        It has learnt nothing yet.

    Raises
    ------
    TypeError
        If a stage is no `Stage`.
    ValueError
        If a window does not fit, or ``dtype`` is another.

    See Also
    --------
    Neocognitron : The formulas, and their source.
    """
    return Neocognitron(stages, input_shape, seed=seed, dtype=dtype)


class Neocognitron:
    """Stages of S-cells, which extract features, and C-cells, which tolerate shifts; they learn without labels.

    Parameters
    ----------
    stages : sequence of Stage
        From the input to the output.
    input_shape : tuple of two ints
        Height and width of an image.
    seed : int
        Seed of the first connections and of the order of patterns.
    dtype : {"float32", "float64"}
        Working type.

    Attributes
    ----------
    layers : list of StageLayers
        S-layer and C-layer of each stage: their shapes and connections.
    labels : ndarray of int64, shape (planes,), or None
        What the last stage's planes stand for, -1 where nothing; None before `label`.

    Raises
    ------
    TypeError
        If a stage is no `Stage`.
    ValueError
        If a window does not fit, or ``dtype`` is another.

    Notes
    -----
    An S-cell in plane k, at n, sees all planes m of the layer before, u, through a window of offsets i; φ(x) is
    max(0, x), and v the response of an inhibitory cell, which shunts::

        u_S(k, n) = r φ((1 + Σ a_k(m, i) u(m, n + i)) / (1 + r / (1 + r) b_k v(n)) - 1)
        v(n) = √(Σ c(i) u(m, n + i)²)

    A C-cell sees its own plane k of K, and is shunted by the mean of all; ψ(x) is x / (α + x) for x > 0, else 0::

        u_C(k, n) = ψ((1 + e_k(n)) / (1 + Σ e_j(n) / K) - 1)
        e_k(n) = Σ d(i) u_S(k, n + i)

    c and d are proportional to γ^|i| and sum to 1. In learning, each S-column, a window through all planes, nominates
    its strongest cell; the strongest nominated from a plane is the plane's seed cell, and all cells of the plane change
    as the seed cell does: Δa_k(m, i) = q c(i) u(m, n + i) and Δb_k = q v(n), so the plane prefers what that cell sees.

    K. Fukushima, Neocognitron: a self-organizing neural network model for a mechanism of pattern recognition unaffected
    by shift in position, Biological Cybernetics 36 (1980).
    """

    def __init__(self, stages: Sequence[Stage], input_shape: tuple[int, int], *, seed: int = 0, dtype: str = "float32"
                 ) -> None:
        self.stages = tuple(stages)
        if not self.stages:
            raise ValueError("stages is empty; expected at least one Stage")
        for i, stage in enumerate(self.stages):
            if not isinstance(stage, Stage):
                raise TypeError(f"stages[{i}] must be a Stage, got {stage!r}")
        if not isinstance(input_shape, (tuple, list)) or len(input_shape) != 2:
            raise ValueError(f"input_shape must be (height, width), got {input_shape!r}")
        if dtype not in ("float32", "float64"):
            raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
        self.input_shape = positive_int("input_shape", input_shape[0]), positive_int("input_shape", input_shape[1])
        self.seed, self.dtype = nonnegative_int("seed", seed), dtype
        self.layers = self._build()
        self.labels: np.ndarray | None = None
        self._learnt = False

    def _build(self) -> list[StageLayers]:
        layers: list[StageLayers] = []
        shape = (*self.input_shape, 1)
        for i, stage in enumerate(self.stages):
            try:
                layers.append(StageLayers(stage, shape, self.dtype))
            except ValueError as error:
                raise ValueError(f"stages[{i}]: {error}") from None
            shape = layers[-1].c_shape
        return layers

    # -- learning -----------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None) -> Neocognitron:
        """Forget what was learnt, and learn anew: first the first stage, then the next from its responses.

        Parameters
        ----------
        X : array_like of shape (n, height, width) or (n, height, width, 1)
            Images, from 0 to 1.
        y : array_like of shape (n,), optional
            Labels, which take no part in learning: `label` is called with them.

        Returns
        -------
        Neocognitron
            Itself.

        Raises
        ------
        TypeError, ValueError
            If ``X`` or ``y`` can't be used, or connections grow too large; nothing is forgotten then.
        """
        patterns = self._images(X)
        labels = None if y is None else _labels(y, len(patterns))
        rng, layers = np.random.default_rng(self.seed), self._build()
        for layer in layers:
            layer.learn(patterns, rng)
            patterns = layer.respond(patterns)
        self.layers, self.labels, self._learnt = layers, None, True
        if labels is not None:
            self._name(patterns, labels)
        return self

    def label(self, X: Any, y: Any) -> None:
        """Name each plane of the last stage by the label of most patterns that it answers strongest.

        Parameters
        ----------
        X : array_like of shape (n, height, width) or (n, height, width, 1)
            Images, from 0 to 1.
        y : array_like of shape (n,)
            Labels: whole numbers from 0.

        Raises
        ------
        TypeError, ValueError
            If ``X`` or ``y`` can't be used, or nothing has been learnt.
        """
        patterns = self._images(X)
        labels = _labels(y, len(patterns))
        self._name(self._last(patterns), labels)

    def _name(self, responses: np.ndarray, labels: np.ndarray) -> None:
        winners, answered = _winners(responses)
        classes, codes = np.unique(labels, return_inverse=True)
        votes = np.zeros((self.stages[-1].planes, len(classes)), np.int64)
        np.add.at(votes, (winners[answered], codes[answered]), 1)
        self.labels = np.where(votes.any(axis=1), classes[votes.argmax(axis=1)], -1)

    # -- use ----------------------------------------------------------------------------

    def transform(self, X: Any) -> np.ndarray:
        """Responses of the last C-layer.

        Parameters
        ----------
        X : array_like of shape (n, height, width) or (n, height, width, 1)
            Images, from 0 to 1.

        Returns
        -------
        ndarray of shape (n, features)
            From 0 to 1, by row, column and plane of the layer.

        Raises
        ------
        TypeError, ValueError
            If ``X`` can't be used, or nothing has been learnt.
        """
        responses = self._last(self._images(X))
        return responses.reshape(len(responses), -1)

    def predict(self, X: Any) -> np.ndarray:
        """Label of the strongest C-cell of the last layer.

        Parameters
        ----------
        X : array_like of shape (n, height, width) or (n, height, width, 1)
            Images, from 0 to 1.

        Returns
        -------
        ndarray of int64, shape (n,)
            Labels; -1 where no plane that has a label responds.

        Raises
        ------
        TypeError, ValueError
            If ``X`` can't be used, or planes have no labels yet.
        """
        if self.labels is None:
            raise ValueError("the planes have no labels yet: call fit(X, y), or label(X, y) after fit(X)")
        winners, answered = _winners(np.where(self.labels >= 0, self._last(self._images(X)), 0))
        return np.where(answered, self.labels[winners], -1)

    def summary(self) -> str:
        """Table of layers.

        Returns
        -------
        str
            For people.
        """
        rows = [("layer", "cells", "window", "selectivity", "connections learnt"),
                ("U0", "{} x {} x 1".format(*self.input_shape), "", "", "")]
        for i, layer in enumerate(self.layers, 1):
            stage = layer.stage
            window, pool = f"{stage.window} x {stage.window}", f"{stage.pool_size} x {stage.pool_size}"
            r = f"{stage.selectivity:g}"
            if stage.recall_selectivity is not None:
                r += f", in recall {stage.recall_selectivity:g}"
            count = f"{layer.a.size + layer.b.size:,}"
            rows.append((f"US{i}", "{} x {} x {}".format(*layer.s_shape), window, r, count))
            rows.append((f"UC{i}", "{} x {} x {}".format(*layer.c_shape), pool, "", ""))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip()
                         for row in rows)

    def __repr__(self) -> str:
        return f"Neocognitron({list(self.stages)}, {self.input_shape}, seed={self.seed}, dtype={self.dtype!r})"

    def _last(self, patterns: np.ndarray) -> np.ndarray:
        if not self._learnt:
            raise ValueError("the neocognitron has learnt nothing yet: call fit(X) first")
        for layer in self.layers:
            patterns = layer.respond(patterns)
        return patterns

    def _images(self, X: Any) -> np.ndarray:
        array = real_array(X, "X")
        if array.ndim == 4 and array.shape[3] == 1:
            array = array[..., 0]
        images = as_features(array, dtype=self.dtype, shape=self.input_shape)
        where = first_not(images, lambda v: (v >= 0) & (v <= 1))
        if where is not None:
            raise ValueError(f"X holds {images[where]:.6g} at index {where}; expected values from 0 to 1: for images "
                             "of bytes pass X / 255")
        return images[..., np.newaxis]


def _winners(responses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Plane of each pattern's strongest cell, and whether that responds at all."""
    flat = responses.reshape(len(responses), -1)
    best = flat.argmax(axis=1)
    return best % responses.shape[-1], flat[np.arange(len(flat)), best] > 0


def _labels(y: Any, n: int) -> np.ndarray:
    array = real_array(y, "y")
    if array.shape != (n,):
        raise ValueError(f"y has shape {array.shape}; expected ({n},), one label for each image")
    where = first_not(np.ascontiguousarray(array), lambda v: (v >= 0) & (v < np.inf) & (v == np.floor(v)))
    if where is not None:
        raise ValueError(f"y holds {array[where]} at row {where[0]}; expected whole numbers from 0: "
                         "numpy.unique(y, return_inverse=True) turns labels into such")
    return array.astype(np.int64)
