"""The artificial neuron of every tutorial: a weighted sum, and an activation."""

from __future__ import annotations

from typing import Any

import numpy as np

from numbanet.checks import finite_float, real_array
from numbanet.layers import Dense
from numbanet.model import Sequential
from numbanet.spec import Activation


class Neuron:
    """One unit, ``activation(weights · x + bias)``, in float64.

    Parameters
    ----------
    weights : array_like of shape (k,)
        A weight for each input.
    bias : float
        What is added to the sum.
    activation : str or Activation, optional
        Formula by which the sum becomes the output.

    Attributes
    ----------
    model : Sequential
        The same unit as a network, which a `Trainer` can train.

    Raises
    ------
    TypeError, ValueError
        If a number is none or not finite, or ``weights`` is not one row of them.

    Examples
    --------
    >>> from numbanet.classic import Neuron
    >>> neuron = Neuron(weights=[0, 1], bias=4)
    >>> neuron.logit([2, 3])
    7.0
    >>> neuron.feedforward([2, 3])
    0.9990889488055994
    """

    def __init__(self, weights: Any, bias: float, activation: str | Activation = "sigmoid") -> None:
        weights = real_array(weights, "weights")
        if weights.ndim != 1 or not weights.size:
            raise ValueError(f"weights has shape {weights.shape}; expected (k,), one number for each input")
        if not np.isfinite(weights).all():
            raise ValueError(f"weights must be finite, got {weights.tolist()}")
        self._activation = getattr(activation, "name", activation)
        self.model = Sequential([Dense(1, activation)])
        self.model.build((weights.size,), dtype="float64")
        self.model.parameters[:] = [*weights, finite_float("bias", bias)]

    @property
    def weights(self) -> np.ndarray:
        """Weights, of shape (k,)."""
        return self.model.parameters[:-1]

    @property
    def bias(self) -> float:
        """Bias."""
        return float(self.model.parameters[-1])

    def logit(self, x: Any) -> Any:
        """Weighted sum with the bias, before the activation.

        Parameters
        ----------
        x : array_like of shape (k,) or (n, k)
            Inputs of one sample, or of several.

        Returns
        -------
        float or ndarray of shape (n,)
            ``weights · x + bias``.

        Raises
        ------
        TypeError, ValueError
            If ``x`` can't be used.
        """
        samples, one = self._samples(x)
        sums = samples @ self.weights + self.bias
        return float(sums[0]) if one else sums

    def feedforward(self, x: Any) -> Any:
        """Output of the unit.

        Parameters
        ----------
        x : array_like of shape (k,) or (n, k)
            Inputs of one sample, or of several.

        Returns
        -------
        float or ndarray of shape (n,)
            ``activation(weights · x + bias)``.

        Raises
        ------
        TypeError, ValueError
            If ``x`` can't be used.
        """
        samples, one = self._samples(x)
        outputs = self.model.predict(samples)[:, 0]
        return float(outputs[0]) if one else outputs

    def __repr__(self) -> str:
        return f"Neuron(weights={self.weights.tolist()}, bias={self.bias}, activation={self._activation!r})"

    def _samples(self, x: Any) -> tuple[np.ndarray, bool]:
        array = real_array(x, "x")
        one = array.ndim == 1
        samples = array[np.newaxis] if one else array
        if samples.ndim != 2 or samples.shape[1] != self.weights.size:
            k = self.weights.size
            raise ValueError(f"x has shape {array.shape}; this neuron has {k} inputs: expected ({k},) or (n, {k})")
        return samples.astype(np.float64, copy=False), one
