"""What inputs are to be brought to before a model takes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from numbanet.checks import real_array


class Scaling:
    """Linear change of units, ``(X - mean) / scale``.

    Parameters
    ----------
    mean, scale : array_like
        One number, or one for each element of a sample, or shapes that broadcast to a sample's.

    Attributes
    ----------
    mean, scale : ndarray of float64

    Raises
    ------
    TypeError
        If they aren't numbers.
    ValueError
        If one is not finite, a scale is 0, or the shapes don't suit each other.

    Examples
    --------
    >>> import numbanet as nn
    >>> scaling = nn.Scaling(mean=[10.0, 0.0], scale=[2.0, 1.0])
    >>> scaling([[12.0, 3.0]])
    array([[1., 3.]])
    """

    def __init__(self, mean: Any, scale: Any) -> None:
        self.mean, self.scale = (
            np.array(real_array(np.asarray(value), name), np.float64)
            for name, value in (("mean", mean), ("scale", scale))
        )
        np.broadcast_shapes(self.mean.shape, self.scale.shape)
        for name, values in (("mean", self.mean), ("scale", self.scale)):
            if not np.isfinite(values).all():
                raise ValueError(f"{name} must be finite, got {values[~np.isfinite(values)].flat[0]}")
        if not self.scale.all():
            raise ValueError("scale must not be 0; take 1 for what is constant")

    def __call__(self, X: Any) -> np.ndarray:
        """Samples of shape (n, ...) in the units that the model takes."""
        return np.asarray((real_array(X, "X") - self.mean) / self.scale)

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError unless it suits samples of a shape.

        Parameters
        ----------
        shape : tuple of int
            Of one sample.

        Raises
        ------
        ValueError
            If it doesn't.
        """
        for name, values in (("mean", self.mean), ("scale", self.scale)):
            try:
                suits = np.broadcast_shapes(values.shape, shape) == shape
            except ValueError:
                suits = False
            if not suits:
                raise ValueError(f"the preprocessing's {name} has shape {values.shape}; the samples have {shape}")

    def __repr__(self) -> str:
        return f"Scaling(mean={self.mean.tolist()}, scale={self.scale.tolist()})"
