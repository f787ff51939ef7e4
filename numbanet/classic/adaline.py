"""Widrow and Hoff's adaline: the perceptron's unit, which learns before its step."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from numbanet.builtins import SGD
from numbanet.checks import positive_float, positive_int, whole_number
from numbanet.classic.linear import LinearUnit, matrix, two_classes
from numbanet.layers import Dense
from numbanet.model import Sequential
from numbanet.trainer import Trainer


class Adaline(LinearUnit):
    """A unit that fires when ``weights · x + bias >= 0``, and learns by how far its logit is from -1 or 1.

    Every sample changes the weights, by the gradient of its squared error: the rule of least mean squares. It settles
    where the squares are least, whether or not a plane separates the classes.

    Parameters
    ----------
    learning_rate : float, optional
        Size of a step. Above 2 divided by the longest sample's squared length with a 1 appended, the weights grow
        without bound.
    epochs : int, optional
        Passes over the samples.
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
    errors_ : list of float
        Mean squared error of each pass, measured as the samples came.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.

    Notes
    -----
    Widrow and Hoff, Adaptive switching circuits (1960).

    Examples
    --------
    >>> from numbanet.classic import Adaline
    >>> unit = Adaline(epochs=100).fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 1])
    >>> unit.predict([[0, 0], [1, 0]])
    array([0, 1])
    """

    def __init__(self, *, learning_rate: float = 0.01, epochs: int = 50, shuffle: bool = True, seed: int = 0) -> None:
        self.learning_rate = positive_float("learning_rate", learning_rate)
        self.epochs = positive_int("epochs", epochs)
        self.shuffle, self.seed = bool(shuffle), whole_number("seed", seed, 0)

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from weights of zero.

        Parameters
        ----------
        X : array_like of shape (n, k)
            Samples.
        y : array_like of shape (n,)
            Labels of two classes.

        Returns
        -------
        Adaline
            Itself.

        Raises
        ------
        TypeError, ValueError
            If the samples can't be used, or there are not two classes.
        FloatingPointError
            If the learning rate is so large that the weights grow without bound.
        """
        samples = matrix(X)
        self.classes_, signs = two_classes(y, len(samples))
        model = Sequential([Dense(1, kernel_initializer="zeros")])
        # half: the derivative of a squared error is twice the error
        trainer = Trainer(model, "mean_squared_error", SGD(self.learning_rate / 2), dtype="float64", seed=self.seed)
        history = trainer.fit(
            samples, signs[:, np.newaxis], epochs=self.epochs, batch_size=1, shuffle=self.shuffle, progress=False
        )
        self.errors_ = list(history["loss"])
        self.coef_, self.intercept_ = model.parameters[np.newaxis, :-1].copy(), model.parameters[-1:].copy()
        return self
