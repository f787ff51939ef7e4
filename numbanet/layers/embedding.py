"""Embedding: y[..., :] = table[x[...]]."""

from __future__ import annotations

from numbanet.checks import positive_int
from numbanet.graph import Graph
from numbanet.layers.base import Layer
from numbanet.registry import get
from numbanet.spec import Initializer, Regularizer

MOST = 1 << 24  # whole numbers that float32 holds exactly


class Embedding(Layer):
    """A vector for each index, ``y[..., :] = table[x[...]]``; the first layer of a model.

    Samples are whole numbers from 0, of any shape; a last axis is added to it.

    Parameters
    ----------
    input_dim : int
        Number of different indices, at most 2**24.
    output_dim : int
        Length of the vectors.
    initializer : str or Initializer, optional
        Values before training.
    regularizer : str or Regularizer, optional
        Penalty of the table, in place of the trainer's.

    Raises
    ------
    ValueError
        If a number is not positive or too large, or a name is unknown.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        *,
        initializer: str | Initializer = "uniform",
        regularizer: str | Regularizer | None = None,
    ) -> None:
        self.input_dim, self.output_dim = positive_int("input_dim", input_dim), positive_int("output_dim", output_dim)
        if self.input_dim > MOST:
            raise ValueError(f"input_dim must be at most {MOST}, got {input_dim}")
        self.initializer = get("initializer", initializer)
        self.regularizer = None if regularizer is None else get("regularizer", regularizer)

    def build(self, graph: Graph) -> None:
        """Write the layer behind the graph's output.

        Parameters
        ----------
        graph : Graph
            Description of the model so far.

        Raises
        ------
        ValueError
            If it is not the first layer.
        """
        if graph.nodes:
            raise ValueError(f"layer {graph.path} (Embedding) takes indices, and must be the first layer of the model")
        graph.vocabulary = self.input_dim
        table = graph.parameter(
            "table", (self.input_dim, self.output_dim), self.initializer, fan_in=self.input_dim,
            fan_out=self.output_dim, regularizer=self.regularizer,
        )  # fmt: skip
        graph.node("embedding", (*graph.output.shape, self.output_dim), (table,))

    def label(self) -> str:
        """Number of indices.

        Returns
        -------
        str
            For the summary.
        """
        return f" {self.input_dim}"
