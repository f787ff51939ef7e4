"""What every layer is."""

from __future__ import annotations

import inspect
from typing import Any

from numbanet.graph import Graph
from numbanet.registry import get
from numbanet.spec import Activation


class Layer:
    """A part of a network.

    A layer holds its settings only; parameters live in the model's flat vector.
    """

    def build(self, graph: Graph) -> None:
        """Write this layer's parameters and nodes behind the graph's output.

        Parameters
        ----------
        graph : Graph
            Description of the model so far.

        Raises
        ------
        ValueError
            If the layer can't take the shape that comes in.
        """
        raise TypeError(f"{type(self).__name__} must define build(graph)")

    def config(self) -> dict[str, Any]:
        """Settings from which the layer can be made again: attributes named as the class's arguments are.

        Returns
        -------
        dict
            Keyword arguments of the class.
        """
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def label(self) -> str:
        """What a summary says behind the layer's class.

        Returns
        -------
        str
            Such as " relu"; empty by default.
        """
        return ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.config().items())})"


def activate(graph: Graph, activation: Activation) -> None:
    """Add an activation behind the graph's output; the identity adds nothing."""
    if activation is not get("activation", "identity"):
        graph.node("activation", graph.output.shape, activation=activation)
