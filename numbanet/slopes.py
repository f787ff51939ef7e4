"""Derivatives of a model's outputs with respect to its inputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numbanet.backend import new_jacobian
from numbanet.checks import real_array
from numbanet.data import as_features, as_samples
from numbanet.graph import Graph


class Differentiated:
    """What a model has, once it is built."""

    _parameters: np.ndarray | None
    _jacobian: Any  # operations, until the model is built anew

    @property
    def graph(self) -> Graph:
        """Description of the model that the backends read."""
        raise NotImplementedError

    @property
    def dtype(self) -> str:
        """Type of the parameters."""
        raise NotImplementedError

    def jacobian(self, X: Any) -> np.ndarray:
        """Derivatives of the outputs with respect to the inputs, as in prediction: without noise.

        Parameters
        ----------
        X : array_like of shape (n, ...)
            Samples.

        Returns
        -------
        ndarray of shape ``(n, *outputs, *inputs)``
            Of the model's dtype.

        Raises
        ------
        TypeError, ValueError
            If ``X`` can't be used, or the model takes indices.
        """
        samples = as_samples(X, self.graph, self.dtype)
        return self._slopes()(self._parameters, samples)

    def gradient(self, X: Any, output: Any = None) -> np.ndarray:
        """Derivatives of one output, or of a weighted sum of outputs, with respect to the inputs.

        One pass back, however many outputs there are; `jacobian` takes one for each. Without noise, as in prediction.

        Parameters
        ----------
        X : array_like of shape (n, ...)
            Samples.
        output : int, tuple of int or array_like, optional
            Index of the output, or weights of all, of their shape or of the shape ``(n, *outputs)``. A model with a
            single output needs none.

        Returns
        -------
        ndarray of the shape of X
            Of the model's dtype.

        Raises
        ------
        IndexError
            If there is no such output.
        TypeError, ValueError
            If ``X`` can't be used, the model takes indices, or ``output`` is missing or has another shape.
        """
        samples = as_samples(X, self.graph, self.dtype)
        weights = _weights(output, self.graph.output.shape, len(samples), self.dtype)
        return self._slopes().product(self._parameters, samples, weights)

    def _slopes(self) -> Any:
        if self._jacobian is None:
            self._jacobian = new_jacobian(self.graph, self.dtype)
        return self._jacobian


def _weights(output: Any, shape: tuple[int, ...], n: int, dtype: Any) -> np.ndarray:
    """Weights of the outputs, of shape (n, *shape), by which they are added up."""
    if output is None:
        if math.prod(shape) > 1:
            raise ValueError(f"the model has outputs of shape {shape}; say which with output=, an index or weights")
        output = (0,) * len(shape)
    index = output if isinstance(output, tuple) else (output,)
    if all(isinstance(i, (int, np.integer)) and not isinstance(i, bool) for i in index):
        inside = len(index) == len(shape) and all(-size <= i < size for i, size in zip(index, shape, strict=True))
        if not inside:
            raise IndexError(f"output={output!r} is no index of outputs of shape {shape}")
        weights = np.zeros(shape, dtype)
        weights[index] = 1
    else:
        array = real_array(output, "output")
        if array.shape not in (shape, (n, *shape)):
            raise ValueError(f"output has shape {array.shape}; expected an index, or weights of shape {shape} or "
                             f"{(n, *shape)}")
        weights = as_features(array.reshape(1, -1), name="output", dtype=dtype).reshape(array.shape)
    return np.ascontiguousarray(np.broadcast_to(weights, (n, *shape)))
