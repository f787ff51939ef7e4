"""Layers of polynomials, of which those survive that do well on samples they have not seen."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from numbanet.classic.gmdh.kernel import TERMS, WORK, differences, evaluate, fit_pairs

CRITERIA = ("regularity", "unbiasedness", "combined")


@dataclass(frozen=True, eq=False)
class Layer:
    """Polynomials that survived.

    Attributes
    ----------
    pairs : ndarray of shape (kept, 2)
        Which two outputs of the layer before each reads; of the inputs in the first.
    coefficients : ndarray of shape (kept, 6)
        Of 1, a, b, a², b² and ab.
    criteria : ndarray of shape (kept,)
        By which they were chosen, ascending.
    """

    pairs: np.ndarray
    coefficients: np.ndarray
    criteria: np.ndarray

    def outputs(self, features: np.ndarray) -> np.ndarray:
        """Values for features with a row for each variable."""
        rows = [
            evaluate(features[a], features[b], c) for (a, b), c in zip(self.pairs, self.coefficients, strict=True)
        ]
        return np.array(rows)


@dataclass(frozen=True)
class Selection:
    """How layers are grown.

    Attributes
    ----------
    criterion : str
        One of `CRITERIA`.
    keep : int
        Survivors of a layer.
    max_layers : int
        Layers at most.
    threads : int
        That share the pairs.
    """

    criterion: str
    keep: int
    max_layers: int
    threads: int

    def grow(self, features: np.ndarray, target: np.ndarray, learning: int) -> list[Layer]:
        """Layers up to the one with the best polynomial.

        Parameters
        ----------
        features : ndarray of shape (variables, n)
            Of samples; the first ``learning`` of them are learnt from, the others check.
        target : ndarray of shape (n,)
            What is to be predicted.
        learning : int
            Samples that are learnt from.

        Returns
        -------
        list of Layer
            At least one.
        """
        layers: list[Layer] = []
        with ThreadPoolExecutor(self.threads) as pool:
            while len(layers) < self.max_layers and len(features) > 1:
                layer = self.layer(features, target, learning, pool)
                if layers and not layer.criteria[0] < layers[-1].criteria[0]:
                    break
                layers.append(layer)
                features = layer.outputs(features)
        return layers

    def layer(self, features: np.ndarray, target: np.ndarray, learning: int, pool: ThreadPoolExecutor) -> Layer:
        """The next layer."""
        pairs = np.array(list(combinations(range(len(features)), 2)))
        coefficients, criteria = np.empty((len(pairs), TERMS)), np.empty(len(pairs))
        bounds = np.linspace(0, len(pairs), self.threads + 1).astype(int)
        judge = partial(self._judge, features, target, learning)
        done = [
            pool.submit(judge, pairs[i:j], coefficients[i:j], criteria[i:j])
            for i, j in pairwise(bounds) if j > i
        ]  # fmt: skip
        for future in done:
            future.result()
        best = np.argsort(criteria, kind="stable")[: self.keep]
        return Layer(pairs[best], coefficients[best], criteria[best])

    def _judge(
        self, features: np.ndarray, target: np.ndarray, learning: int, pairs: np.ndarray, coefficients: np.ndarray,
        criteria: np.ndarray,
    ) -> None:  # fmt: skip
        """Fit pairs, and measure them by samples they have not seen."""
        n, work, none = len(target), np.empty(WORK), np.empty((0, TERMS))
        fit_pairs(features, target, pairs, 0, learning, coefficients, work)
        mean: Callable[..., Any] = partial(differences, features, target, pairs, coefficients)
        criteria[:] = 0
        if self.criterion != "unbiasedness":
            mean(none, learning, n, criteria)
        if self.criterion != "regularity":
            others, apart = np.empty_like(coefficients), np.empty(len(pairs))
            fit_pairs(features, target, pairs, learning, n, others, work)
            mean(others, 0, n, apart)
            criteria += apart
        criteria[np.isnan(criteria)] = np.inf
