"""Layers that are noisy in training, and do nothing in prediction."""

from __future__ import annotations

from numbanet.checks import fraction, nonnegative_float
from numbanet.graph import Graph
from numbanet.layers.base import Layer


class _Dropout(Layer):
    def __init__(self, rate: float) -> None:
        self.rate = fraction("rate", rate)

    def _drop(self, graph: Graph, units: int) -> None:
        if self.rate:
            graph.node("dropout", graph.output.shape, settings={"rate": self.rate, "units": units})

    def label(self) -> str:
        """Rate.

        Returns
        -------
        str
            For the summary.
        """
        return f" {self.rate:g}"


class Dropout(_Dropout):
    """Drop elements by chance while training, ``y = x / (1 - rate)`` or 0.

    Parameters
    ----------
    rate : float
        Probability of 0, at least 0 and below 1.

    Raises
    ------
    ValueError
        If the rate is not in that interval.

    Notes
    -----
    Chance is a function of the seed, the step, the sample and the element: the order of samples, blocks
    and threads make no difference. Srivastava et al., Dropout (2014).
    """

    def build(self, graph: Graph) -> None:
        """Write the layer behind the graph's output.

        Parameters
        ----------
        graph : Graph
            Description of the model so far.
        """
        self._drop(graph, graph.output.size)


class SpatialDropout(_Dropout):
    """Drop whole channels by chance while training, ``y[..., c] = x[..., c] / (1 - rate)`` or 0.

    Parameters
    ----------
    rate : float
        Probability of 0, at least 0 and below 1.

    Raises
    ------
    ValueError
        If the rate is not in that interval.

    Notes
    -----
    Tompson et al., Efficient object localization using convolutional networks (2015).
    """

    def build(self, graph: Graph) -> None:
        """Write the layer behind the graph's output.

        Parameters
        ----------
        graph : Graph
            Description of the model so far.

        Raises
        ------
        ValueError
            If samples have no channels.
        """
        shape = graph.output.shape
        if len(shape) < 2:
            raise ValueError(
                f"layer {graph.path} (SpatialDropout) takes samples of shape (..., channels), got shape {shape}; use "
                "Dropout"
            )
        self._drop(graph, shape[-1])


class GaussianNoise(Layer):
    """Add noise while training, ``y = x + n`` with n normal.

    Parameters
    ----------
    stddev : float
        Standard deviation of n, at least 0.

    Raises
    ------
    ValueError
        If the deviation is negative.

    Notes
    -----
    Chance is a function of the seed, the step, the sample and the element. Numbers beyond 5.3 standard
    deviations do not occur.
    """

    def __init__(self, stddev: float) -> None:
        self.stddev = nonnegative_float("stddev", stddev)

    def build(self, graph: Graph) -> None:
        """Write the layer behind the graph's output.

        Parameters
        ----------
        graph : Graph
            Description of the model so far.
        """
        if self.stddev:
            graph.node("gaussian_noise", graph.output.shape, settings={"stddev": self.stddev})

    def label(self) -> str:
        """Standard deviation.

        Returns
        -------
        str
            For the summary.
        """
        return f" {self.stddev:g}"
