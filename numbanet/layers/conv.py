"""Convolution: y[i, j, u] = f(sum over the window of x w[..., u] + b[u])."""

from __future__ import annotations

from functools import partial
from typing import Any

from numbanet.checks import finite_float, nonnegative_int, positive_int
from numbanet.graph import Graph, Window
from numbanet.layers.base import Layer, activate
from numbanet.registry import get
from numbanet.spec import Activation, Initializer, Regularizer


def pair(name: str, value: Any) -> tuple[int, int]:
    """Two whole numbers of at least 1, of which one stands for both."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"{name} must be a whole number or two, got {value!r}")
        return positive_int(name, value[0]), positive_int(name, value[1])
    return (positive_int(name, value),) * 2


class Conv2D(Layer):
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
    kernel_initializer, bias_initializer : str or Initializer, optional
        Values before training, Glorot uniform and zeros by default.
    kernel_regularizer, bias_regularizer : str or Regularizer, optional
        Penalty of this layer's parameters, in place of the trainer's.

    Raises
    ------
    ValueError
        If a number is not positive or a name is unknown.

    Notes
    -----
    The kernel has shape ``(height, width, channels, filters)``. Biases that differ from unit to unit
    are those of LeCun et al., Backpropagation applied to handwritten zip code recognition (1989).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        activation: str | Activation | None = None,
        *,
        strides: int | tuple[int, int] = 1,
        padding: str | int = "valid",
        dilation: int | tuple[int, int] = 1,
        padding_value: float = 0.0,
        bias: str | None = "channel",
        kernel_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
        kernel_regularizer: str | Regularizer | None = None,
        bias_regularizer: str | Regularizer | None = None,
    ) -> None:
        self.filters, self.kernel_size = positive_int("filters", filters), pair("kernel_size", kernel_size)
        self.activation = get("activation", "identity" if activation is None else activation)
        self.strides, self.dilation = pair("strides", strides), pair("dilation", dilation)
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
            If samples are not images, or smaller than a window.
        """
        shape = graph.output.shape
        if len(shape) != 3:
            raise ValueError(
                f"layer {graph.layer} (Conv2D) takes samples of shape (height, width, channels), got shape {shape}"
            )
        window = Window(self.kernel_size, self.strides, self.dilation)
        self._pad(graph, window)
        height, width, channels = graph.output.shape
        rows, columns = window.outputs(height, width)
        if min(rows, columns) < 1:
            raise ValueError(
                f"layer {graph.layer} (Conv2D): a window of {self.kernel_size} with dilation {self.dilation} does not "
                f"fit an image of {(height, width)}, padding included; use a smaller one, or padding"
            )
        area = self.kernel_size[0] * self.kernel_size[1]
        declare = partial(graph.parameter, fan_in=area * channels, fan_out=area * self.filters)
        shape = *self.kernel_size, channels, self.filters
        parameters = [declare("kernel", shape, self.kernel_initializer, regularizer=self.kernel_regularizer)]
        if self.bias:
            shape = (self.filters,) if self.bias == "channel" else (rows, columns, self.filters)
            regularizer = self.bias_regularizer
            parameters.append(declare("bias", shape, self.bias_initializer, bias=True, regularizer=regularizer))
        graph.node("convolution", (rows, columns, self.filters), tuple(parameters), window=window)
        activate(graph, self.activation)

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
            totals = [0, 0] if self.padding == "valid" else [2 * int(self.padding)] * 2
        if any(totals):
            graph.node(
                "pad", (height + totals[0], width + totals[1], channels),
                margin=(totals[0] // 2, totals[1] // 2), fill=self.padding_value,
            )  # fmt: skip

    def label(self) -> str:
        """Window and activation.

        Returns
        -------
        str
            For the summary.
        """
        return f" {self.kernel_size[0]}x{self.kernel_size[1]} {self.activation.name}"
