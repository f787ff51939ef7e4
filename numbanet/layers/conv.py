"""Convolution: y[i, j, u] = f(sum over the window of x w[..., u] + b[u])."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from numbanet.checks import finite_float, nonnegative_int, positive_int
from numbanet.graph import Graph, Window
from numbanet.layers.base import Layer, activate, as_image, as_sequence, per_axis
from numbanet.registry import get
from numbanet.spec import Activation, Initializer, Regularizer


def _connections(table: Any, filters: int) -> np.ndarray | None:
    """Which input channels feed which output channels."""
    if table is None:
        return None
    try:
        array = np.asarray(table)
    except ValueError:
        raise ValueError("connections must be a table with rows of one length") from None
    if array.ndim != 2 or array.shape[1] != filters or not np.isin(array, (0, 1)).all():
        raise ValueError(
            f"connections must be a table of True and False of shape (input channels, {filters}), one column a "
            f"filter; got {array.dtype} of shape {array.shape}"
        )
    array = array.astype(bool)
    if not array.any(axis=0).all():
        raise ValueError(f"connections leaves filter {array.any(axis=0).argmin()} without an input channel")
    return array


class _Convolution(Layer):
    axes: int

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, ...],
        activation: str | Activation | None = None,
        *,
        strides: int | tuple[int, ...] = 1,
        padding: str | int = "valid",
        dilation: int | tuple[int, ...] = 1,
        padding_value: float = 0.0,
        bias: str | None = "channel",
        connections: Any = None,
        kernel_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
        kernel_regularizer: str | Regularizer | None = None,
        bias_regularizer: str | Regularizer | None = None,
    ) -> None:
        self.filters = positive_int("filters", filters)
        self.kernel_size = per_axis("kernel_size", kernel_size, self.axes)
        self.activation = get("activation", "identity" if activation is None else activation)
        self.strides = per_axis("strides", strides, self.axes)
        self.dilation = per_axis("dilation", dilation, self.axes)
        if isinstance(padding, str):
            if padding not in ("valid", "same"):
                raise ValueError(f"padding must be 'valid', 'same' or a whole number, got {padding!r}")
            self.padding: str | int = padding
        else:
            self.padding = nonnegative_int("padding", padding)
        self.padding_value = finite_float("padding_value", padding_value)
        if bias not in ("channel", "unit", None):
            raise ValueError(f"bias must be 'channel', 'unit' or None, got {bias!r}")
        self.bias = bias
        self.connections = _connections(connections, self.filters)
        self.kernel_initializer = get("initializer", kernel_initializer)
        self.bias_initializer = get("initializer", bias_initializer)
        self.kernel_regularizer = None if kernel_regularizer is None else get("regularizer", kernel_regularizer)
        self.bias_regularizer = None if bias_regularizer is None else get("regularizer", bias_regularizer)

    def build(self, graph: Graph) -> None:
        """Write the layer behind the graph's output.

        Parameters
        ----------
        graph : Graph
            Description of the model so far.

        Raises
        ------
        ValueError
            If samples have another number of axes, are smaller than a window, or have other channels
            than the table of connections.
        """
        shape = graph.output.shape
        as_image(graph, self, self.axes)
        one = (1,) * (2 - self.axes)
        window = Window(one + self.kernel_size, one + self.strides, one + self.dilation)
        self._pad(graph, window)
        height, width, channels = graph.output.shape
        rows, columns = window.outputs(height, width)
        if min(rows, columns) < 1:
            raise ValueError(
                f"layer {graph.path} ({type(self).__name__}): a window of {self.kernel_size} with dilation "
                f"{self.dilation} does not fit samples of {(height, width)[-self.axes:]}, padding included; use a "
                "smaller one, or padding"
            )
        fan_in, fan_out = channels, self.filters
        if self.connections is not None:
            if len(self.connections) != channels:
                raise ValueError(
                    f"layer {graph.path} ({type(self).__name__}): connections has shape {self.connections.shape}, for "
                    f"{len(self.connections)} input channels; samples of shape {shape} have {channels}"
                )
            wires = int(self.connections.sum())
            fan_in, fan_out = wires // self.filters, max(1, wires // channels)
        area = int(np.prod(self.kernel_size))
        declare = partial(graph.parameter, fan_in=area * fan_in, fan_out=area * fan_out)
        parameters = [
            declare(
                "kernel", (*self.kernel_size, channels, self.filters), self.kernel_initializer,
                regularizer=self.kernel_regularizer, mask=self.connections,
            )
        ]  # fmt: skip
        if self.bias:
            units = (self.filters,) if self.bias == "channel" else (*(rows, columns)[-self.axes :], self.filters)
            regularizer = self.bias_regularizer
            parameters.append(declare("bias", units, self.bias_initializer, bias=True, regularizer=regularizer))
        graph.node("convolution", (rows, columns, self.filters), tuple(parameters), window=window)
        activate(graph, self.activation)
        as_sequence(graph, self.axes)

    def _pad(self, graph: Graph, window: Window) -> None:
        """The margin, where there is one."""
        height, width, channels = graph.output.shape
        if self.padding == "same":
            totals = [
                max(0, (-(-length // step) - 1) * step + (size - 1) * gap + 1 - length)
                for length, size, step, gap in zip(
                    (height, width), window.size, window.strides, window.dilation, strict=True
                )
            ]
        else:
            total = 0 if self.padding == "valid" else 2 * int(self.padding)
            totals = [total if self.axes == 2 else 0, total]
        if any(totals):
            graph.node(
                "pad", (height + totals[0], width + totals[1], channels),
                margin=(totals[0] // 2, totals[1] // 2), settings={"fill": self.padding_value},
            )  # fmt: skip

    def label(self) -> str:
        """Window and activation.

        Returns
        -------
        str
            For the summary.
        """
        return f" {'x'.join(map(str, self.kernel_size))} {self.activation.name}"


class Conv2D(_Convolution):
    """Convolution of images, ``y[i, j, u] = activation(sum x[i s + k d, j s + l d, c] kernel[k, l, c, u] + bias[u])``.

    Samples are of shape ``(height, width, channels)``. As everywhere in deep learning it is a
    cross-correlation: the kernel is not turned round.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size : int or tuple of two ints
        Height and width of the window.
    activation : str or Activation, optional
        Applied to the sums; the identity by default.
    strides : int or tuple of two ints, optional
        Steps from window to window, s above.
    padding : {"valid", "same"} or int, optional
        No margin; one that makes the output as large as the input divided by the strides, rounded
        up; or so many rows and columns on every side.
    dilation : int or tuple of two ints, optional
        Steps within a window, d above.
    padding_value : float, optional
        What the margin consists of.
    bias : {"channel", "unit"} or None, optional
        One bias for each output channel, one for each output, or none.
    connections : array_like of bool, shape (channels, filters), optional
        Which input channels feed which output channels; all feed all by default. The other weights
        are 0, and stay so.
    kernel_initializer, bias_initializer : str or Initializer, optional
        Values before training, Glorot uniform and zeros by default.
    kernel_regularizer, bias_regularizer : str or Regularizer, optional
        Penalty of this layer's parameters, in place of the trainer's.

    Raises
    ------
    ValueError
        If a number is not positive, a table does not suit or a name is unknown.

    Notes
    -----
    The kernel has shape ``(height, width, channels, filters)``. Tables of connections, and biases that
    differ from unit to unit, are those of LeCun et al., Backpropagation applied to handwritten zip code
    recognition (1989).
    """

    axes = 2


class Conv1D(_Convolution):
    """Convolution of sequences, ``y[i, u] = activation(sum x[i s + k d, c] kernel[k, c, u] + bias[u])``.

    Samples are of shape ``(length, channels)``.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size : int
        Length of the window.
    activation : str or Activation, optional
        Applied to the sums; the identity by default.
    strides : int, optional
        Steps from window to window, s above.
    padding : {"valid", "same"} or int, optional
        No margin; one that makes the output as long as the input divided by the strides, rounded
        up; or so many elements at both ends.
    dilation : int, optional
        Steps within a window, d above.
    padding_value : float, optional
        What the margin consists of.
    bias : {"channel", "unit"} or None, optional
        One bias for each output channel, one for each output, or none.
    connections : array_like of bool, shape (channels, filters), optional
        Which input channels feed which output channels; all feed all by default. The other weights
        are 0, and stay so.
    kernel_initializer, bias_initializer : str or Initializer, optional
        Values before training, Glorot uniform and zeros by default.
    kernel_regularizer, bias_regularizer : str or Regularizer, optional
        Penalty of this layer's parameters, in place of the trainer's.

    Raises
    ------
    ValueError
        If a number is not positive, a table does not suit or a name is unknown.

    Notes
    -----
    The kernel has shape ``(length, channels, filters)``.
    """

    axes = 1
