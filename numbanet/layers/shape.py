"""Layers that change the shape of samples, and nothing else."""

from __future__ import annotations

from numbanet.graph import Graph
from numbanet.layers.base import Layer


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
