"""Residual connection: y = f(x) + g(x)."""

from __future__ import annotations

from collections.abc import Sequence

from numbanet.graph import Graph, Value
from numbanet.layers.base import Layer


class Residual(Layer):
    """Layers whose output is added to their input, ``y = layers(x) + shortcut(x)``.

    Parameters
    ----------
    layers : sequence of Layer
        One behind the other.
    shortcut : sequence of Layer, optional
        What the input goes through instead; nothing by default, and then the shape must stay.

    Raises
    ------
    TypeError
        If something else than layers is given.
    ValueError
        If there is no layer.

    Notes
    -----
    He et al., Deep residual learning for image recognition (2016).
    """

    def __init__(self, layers: Sequence[Layer], shortcut: Sequence[Layer] = ()) -> None:
        if isinstance(layers, Layer) or isinstance(shortcut, Layer):
            raise TypeError("Residual takes lists of layers, such as [Dense(10)]")
        self.layers, self.shortcut = list(layers), list(shortcut)
        if not self.layers:
            raise ValueError("layers is empty; expected at least one layer, such as Dense(10)")
        for layer in [*self.layers, *self.shortcut]:
            if not isinstance(layer, Layer):
                raise TypeError(f"Residual takes layers such as Dense(10), got {layer!r}")

    def build(self, graph: Graph) -> None:
        """Write the layers behind the graph's output.

        Parameters
        ----------
        graph : Graph
            Description of the model so far.

        Raises
        ------
        ValueError
            If the two ways end with different shapes, or a layer can't take what comes in.
        """
        start = graph.output
        ends: list[Value] = []
        for way, first in ((self.layers, 0), (self.shortcut, len(self.layers))):
            graph.output = start
            graph.node("fork", start.shape)
            for index, layer in enumerate(way, first):
                with graph.within(index):
                    layer.build(graph)
            ends.append(graph.output)
        if ends[0].shape != ends[1].shape:
            raise ValueError(
                f"layer {graph.path} (Residual): its layers give shape {ends[0].shape}, the shortcut {ends[1].shape}; "
                "change the layers, or give shortcut= layers such as a Conv2D of 1x1"
            )
        graph.output = ends[0]
        graph.node("add", ends[0].shape, other=ends[1])

    def label(self) -> str:
        """Which layers.

        Returns
        -------
        str
            For the summary.
        """
        names = [" + ".join(type(layer).__name__ for layer in way) for way in (self.layers, self.shortcut) if way]
        return f" ({' | '.join(names)})"
