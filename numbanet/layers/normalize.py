"""Normalization to mean 0 and variance 1, then a scale and a shift that training finds."""

from __future__ import annotations

from numbanet.checks import fraction, positive_float
from numbanet.graph import Graph
from numbanet.layers.base import Layer
from numbanet.registry import get


class _Normalization(Layer):
    center: bool
    scale: bool

    def _affine(self, graph: Graph) -> None:
        """Scale and shift of each channel."""
        shape = graph.output.shape
        parameters = [
            graph.parameter(role, shape[-1:], get("initializer", start), fan_in=1, fan_out=1, bias=True)
            for role, start, wanted in (("gamma", "ones", self.scale), ("beta", "zeros", self.center))
            if wanted
        ]
        if parameters:
            graph.node("affine", shape, tuple(parameters))


class BatchNorm(_Normalization):
    """Batch normalization, ``y = gamma (x - mean) / sqrt(variance + epsilon) + beta`` for each channel.

    In training, mean and variance are those of the whole batch, over all positions, whatever the
    number of blocks and threads. In prediction they are running averages,
    ``average = momentum average + (1 - momentum) batch``. Channels are the last axis.

    Parameters
    ----------
    momentum : float, optional
        Weight of the past in the running averages, at least 0 and below 1.
    epsilon : float, optional
        Added to the variance.
    center, scale : bool, optional
        Whether there are beta and gamma.

    Raises
    ------
    ValueError
        If a number is not in its interval.

    Notes
    -----
    The variance is that of the batch, divided by the number of its values. Samples count alike, whatever
    their weights, and a last batch that is smaller counts as much as any in the running averages. All of a
    batch's blocks go forward together, which needs memory for all of its samples: half a megabyte each
    behind a convolution of 28 x 28 with 32 filters. Ioffe and Szegedy, Batch normalization (2015).
    """

    def __init__(
        self, momentum: float = 0.99, epsilon: float = 1e-3, *, center: bool = True, scale: bool = True
    ) -> None:
        self.momentum, self.epsilon = fraction("momentum", momentum), positive_float("epsilon", epsilon)
        self.center, self.scale = bool(center), bool(scale)

    def build(self, graph: Graph) -> None:
        """Write the layer behind the graph's output.

        Parameters
        ----------
        graph : Graph
            Description of the model so far.
        """
        shape = graph.output.shape
        averages = tuple(
            graph.parameter(role, shape[-1:], get("initializer", start), fan_in=1, fan_out=1, momentum=self.momentum)
            for role, start in (("mean", "zeros"), ("variance", "ones"))
        )
        graph.node("batch_normalize", shape, averages, settings={"epsilon": self.epsilon})
        self._affine(graph)


class LayerNorm(_Normalization):
    """Layer normalization, ``y = gamma (x - mean) / sqrt(variance + epsilon) + beta`` over the channels.

    Mean and variance are those of each sample, and each position of it, over the last axis.

    Parameters
    ----------
    epsilon : float, optional
        Added to the variance.
    center, scale : bool, optional
        Whether there are beta and gamma.

    Raises
    ------
    ValueError
        If epsilon is not positive.

    Notes
    -----
    Ba, Kiros and Hinton, Layer normalization (2016).
    """

    def __init__(self, epsilon: float = 1e-3, *, center: bool = True, scale: bool = True) -> None:
        self.epsilon = positive_float("epsilon", epsilon)
        self.center, self.scale = bool(center), bool(scale)

    def build(self, graph: Graph) -> None:
        """Write the layer behind the graph's output.

        Parameters
        ----------
        graph : Graph
            Description of the model so far.
        """
        graph.node("layer_normalize", graph.output.shape, settings={"epsilon": self.epsilon})
        self._affine(graph)
