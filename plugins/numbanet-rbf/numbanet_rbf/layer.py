"""The layer: its parameters, and the nodes that compute it."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

import numbanet as nn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numbanet.graph import Graph

NUMBANET_API = 1


class RadialBasis(nn.Layer):
    """Radial basis functions, ``y_k = function(scale_k² |x - center_k|²)``.

    Parameters
    ----------
    units : int
        Number of centers.
    function : str or Activation, optional
        Of the squared distance: "radial_gaussian", "inverse_quadratic", "inverse_multiquadric", or one's own.
    center_initializer : str or Initializer, optional
        Centers before training; standard normal by default. `from_samples` draws them from data.
    scale : float, optional
        All scales before training: one over a function's width.

    Raises
    ------
    ValueError
        If ``units`` or ``scale`` is not positive, or a name is unknown.

    Notes
    -----
    Centers, of shape ``(inputs, units)``, and scales, of shape ``(units,)``, are trained (Moody & Darken, "Fast
    learning in networks of locally-tuned processing units", 1989; Poggio & Girosi, "Networks for approximation and
    learning", 1990). As with biases, the trainer's regularizer spares them.
    """

    def __init__(
        self, units: int, function: str | nn.Activation = "radial_gaussian", *,
        center_initializer: str | nn.Initializer = "normal", scale: float = 1.0,
    ) -> None:
        if index(units) < 1:
            raise ValueError(f"units must be at least 1, got {units}")
        if not 0 < scale < np.inf:
            raise ValueError(f"scale must be positive and finite, got {scale}")
        self.units, self.scale = index(units), float(scale)
        self.function = nn.activation(function)
        if center_initializer == "normal":
            center_initializer = nn.RandomNormal(stddev=1.0)
        self.center_initializer = nn.initializer(center_initializer)

    def build(self, graph: Graph) -> None:
        """Write the layer behind the graph's output."""
        shape = graph.output.shape
        if len(shape) != 1:
            raise ValueError(f"layer {graph.path} (RadialBasis) takes samples of one axis, got shape {shape}")
        fans: dict[str, Any] = {"fan_in": shape[0], "fan_out": self.units, "bias": True}
        centers = graph.parameter("centers", (shape[0], self.units), self.center_initializer, **fans)
        scales = graph.parameter("scales", (self.units,), nn.initializer("constant", value=self.scale), **fans)
        graph.node("numbanet_rbf.kernels:SQUARED_DISTANCE", (self.units,), (centers, scales))
        graph.node("activation", (self.units,), activation=self.function)

    def config(self) -> dict[str, Any]:
        """Settings. Samples are none: a layer that is made again draws its centers as by default, or gets them."""
        settings = super().config()
        if self.center_initializer.name == "from_samples":
            settings["center_initializer"] = nn.RandomNormal(stddev=1.0)
        return settings

    def label(self) -> str:
        """Name of the function, for the summary."""
        return f" {self.function.name}"


@nn.hookimpl
def numbanet_layers() -> Iterator[type[nn.Layer]]:
    """What a file with a model may name."""
    yield RadialBasis


def from_samples(X: Any) -> nn.Initializer:
    """Initializer that takes different samples for centers.

    Parameters
    ----------
    X : array_like of shape (n, inputs)
        At least as many samples as there will be centers.

    Returns
    -------
    Initializer
        For ``center_initializer``.
    """
    X = np.array(X, float)

    def sample(rng: Any, shape: Any, fan_in: Any, fan_out: Any) -> np.ndarray:
        inputs, units = shape
        if X.ndim != 2 or X.shape[1] != inputs or len(X) < units:
            raise ValueError(f"from_samples needs at least {units} samples of {inputs} inputs, got shape {X.shape}")
        return X[rng.choice(len(X), units, replace=False)].T

    return nn.Initializer("from_samples", sample=sample)
