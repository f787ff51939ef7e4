"""Rosenblatt's perceptron: the first neuron that learns."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from numbanet.checks import positive_float, positive_int, real_array, whole_number
from numbanet.classic.linear import LinearUnit, matrix, two_classes
from numbanet.cpu.jit import kernel
from numbanet.cpu.random import shuffle


@kernel
def epoch(samples, signs, order, weights, pocket, rate, runs):
    """One pass in the given order; returns the mistakes.

    ``runs`` holds how many samples in a row are right now, and were before the weights in the pocket were replaced,
    and the errors of those on all samples.
    """
    n, k = samples.shape
    mistakes = 0
    for s in range(n):
        i = order[s]
        logit = weights[k]
        for j in range(k):
            logit += weights[j] * samples[i, j]
        if (logit >= 0) == (signs[i] > 0):
            runs[0] += 1
            continue
        if runs[0] > runs[1]:
            keep(samples, signs, weights, pocket, runs)
        runs[0] = 0
        mistakes += 1
        for j in range(k):
            weights[j] += rate * signs[i] * samples[i, j]
        weights[k] += rate * signs[i]
    keep(samples, signs, weights, pocket, runs)
    return mistakes


@kernel
def keep(samples, signs, weights, pocket, runs):
    """Put the weights into the pocket if they err on fewer samples: Gallant's ratchet."""
    n, k = samples.shape
    wrong = 0
    for i in range(n):
        logit = weights[k]
        for j in range(k):
            logit += weights[j] * samples[i, j]
        wrong += (logit >= 0) != (signs[i] > 0)
    if wrong < runs[2]:
        runs[1], runs[2] = runs[0], wrong
        for j in range(k + 1):
            pocket[j] = weights[j]


class Perceptron(LinearUnit):
    """A unit that fires when ``weights · x + bias >= 0``, and learns from each sample that it gets wrong.

    A mistake adds the sample to the weights, or subtracts it. If a plane separates the classes, the mistakes end, after
    at most (R / γ)² of them (`novikoff_bound`). If none does they never end, and the weights that erred on the fewest
    samples are kept in a pocket.

    Parameters
    ----------
    learning_rate : float, optional
        Size of a correction; from weights of zero it changes their length alone.
    max_epochs : int, optional
        Passes over the samples at most.
    shuffle : bool, optional
        Whether each pass has an order of its own.
    seed : int, optional
        Of the orders.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        Labels, sorted; the unit fires for the second.
    coef_ : ndarray of shape (1, k)
        Weights.
    intercept_ : ndarray of shape (1,)
        Bias.
    mistakes_ : list of int
        Mistakes of each pass.
    separated_ : bool
        Whether the last pass had none.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.

    Notes
    -----
    Rosenblatt, The perceptron: a probabilistic model for information storage and organization in the brain (1958). The
    pocket: Gallant, Perceptron-based learning algorithms (1990).

    Examples
    --------
    >>> from numbanet.classic import Perceptron
    >>> unit = Perceptron().fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 1])
    >>> unit.separated_
    True
    >>> unit.predict([[0, 0], [1, 0]])
    array([0, 1])
    """

    def __init__(
        self, *, learning_rate: float = 1.0, max_epochs: int = 1000, shuffle: bool = True, seed: int = 0
    ) -> None:
        self.learning_rate = positive_float("learning_rate", learning_rate)
        self.max_epochs = positive_int("max_epochs", max_epochs)
        self.shuffle, self.seed = bool(shuffle), whole_number("seed", seed, 0)

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from nothing.

        Parameters
        ----------
        X : array_like of shape (n, k)
            Samples.
        y : array_like of shape (n,)
            Labels of two classes.

        Returns
        -------
        Perceptron
            Itself.

        Raises
        ------
        TypeError, ValueError
            If the samples can't be used, or there are not two classes.
        """
        samples = matrix(X)
        self.classes_, signs = two_classes(y, len(samples))
        n, k = samples.shape
        weights, pocket, order = np.zeros(k + 1), np.zeros(k + 1), np.arange(n)
        runs = np.array([0, -1, n + 1])
        self.mistakes_: list[int] = []
        while len(self.mistakes_) < self.max_epochs and 0 not in self.mistakes_[-1:]:
            if self.shuffle:
                shuffle(order, self.seed, len(self.mistakes_))
            self.mistakes_.append(int(epoch(samples, signs, order, weights, pocket, self.learning_rate, runs)))
        self.separated_ = self.mistakes_[-1] == 0
        chosen = weights if self.separated_ else pocket
        self.coef_, self.intercept_ = chosen[np.newaxis, :-1].copy(), chosen[-1:].copy()
        return self


def novikoff_bound(X: Any, y: Any, weights: Any, bias: float) -> float:
    """Mistakes that a perceptron makes at most, by a plane that separates the classes.

    Parameters
    ----------
    X : array_like of shape (n, k)
        Samples.
    y : array_like of shape (n,)
        Labels of two classes.
    weights : array_like of shape (k,)
        Of a plane with the second class on its positive side.
    bias : float
        Of the plane.

    Returns
    -------
    float
        (R / γ)²: R is the length of the longest sample and γ the smallest distance from the plane, both with a 1
        appended to each sample, as the bias has it.

    Raises
    ------
    ValueError
        If the plane does not separate the classes.

    Notes
    -----
    Novikoff, On convergence proofs on perceptrons (1962).
    """
    samples = matrix(X)
    _, signs = two_classes(y, len(samples))
    plane = np.append(real_array(weights, "weights"), float(bias))
    extended = np.column_stack([samples, np.ones(len(samples))])
    margin = float((signs * (extended @ plane)).min() / np.linalg.norm(plane))
    if not margin > 0:
        raise ValueError("the plane does not separate the classes: some sample is on its wrong side, or on it")
    return float((extended**2).sum(axis=1).max() / margin**2)
