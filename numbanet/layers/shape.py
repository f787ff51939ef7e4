"""Layers without parameters: other shapes, and activations alone."""

from __future__ import annotations

import math

from numbanet.checks import positive_int
from numbanet.graph import Graph
from numbanet.layers.base import Layer, activate
from numbanet.registry import get
from numbanet.spec import Activation


class Flatten(Layer):
    """All axes of a sample as one, the last fastest."""

    def build(self, graph: Graph) -> None:
        """Write the layer behind the graph's output.

        Parameters
        ----------
        graph : Graph
            Description of the model so far.
        """
        graph.node("reshape", (graph.output.size,))


class Reshape(Layer):
    """Samples of another shape, the last axis fastest.

    Parameters
    ----------
    shape : tuple of int
        Without the sample axis; one of them may be -1, and is what is left over.

    Raises
    ------
    ValueError
        If a number is neither positive nor -1, or -1 occurs twice.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        axes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
        self.shape = tuple(-1 if n == -1 else positive_int("shape", n) for n in axes)
        if self.shape.count(-1) > 1 or not self.shape:
            raise ValueError(f"shape must have at least one axis, and -1 once at most; got {shape!r}")

    def build(self, graph: Graph) -> None:
        """Write the layer behind the graph's output.

        Parameters
        ----------
        graph : Graph
            Description of the model so far.

        Raises
        ------
        ValueError
            If the shapes do not have as many elements.
        """
        size, known = graph.output.size, abs(math.prod(self.shape))
        if size % known or (-1 not in self.shape and size != known):
            raise ValueError(
                f"layer {graph.path} (Reshape): samples of shape {graph.output.shape}, {size} elements, can't take "
                f"the shape {self.shape}"
            )
        graph.node("reshape", tuple(size // known if n == -1 else n for n in self.shape))

    def label(self) -> str:
        """Shape.

        Returns
        -------
        str
            For the summary.
        """
        return f" {self.shape}"


class Apply(Layer):
    """An activation as a layer of its own, ``y = activation(x)``; one of rows takes all of a sample's elements.

    Parameters
    ----------
    activation : str or Activation
        What is applied.

    Raises
    ------
    ValueError
        If the name is unknown.
    """

    def __init__(self, activation: str | Activation) -> None:
        self.activation = get("activation", activation)

    def build(self, graph: Graph) -> None:
        """Write the layer behind the graph's output.

        Parameters
        ----------
        graph : Graph
            Description of the model so far.
        """
        activate(graph, self.activation)

    def label(self) -> str:
        """Name of the activation.

        Returns
        -------
        str
            For the summary.
        """
        return f" {self.activation.name}"
