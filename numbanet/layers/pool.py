"""Pooling: one number for every window of a channel."""

from __future__ import annotations

from numbanet.graph import Graph, Window
from numbanet.layers.base import Layer, as_image, as_sequence, per_axis


class _Pool(Layer):
    kind: str
    axes: int

    def __init__(self, pool_size: int | tuple[int, ...] = 2, strides: int | tuple[int, ...] | None = None) -> None:
        self.pool_size = per_axis("pool_size", pool_size, self.axes)
        self.strides = self.pool_size if strides is None else per_axis("strides", strides, self.axes)

    def build(self, graph: Graph) -> None:
        """Write the layer behind the graph's output.

        Parameters
        ----------
        graph : Graph
            Description of the model so far.

        Raises
        ------
        ValueError
            If samples have another number of axes, or are smaller than a window.
        """
        as_image(graph, self, self.axes)
        one = (1,) * (2 - self.axes)
        window = Window(one + self.pool_size, one + self.strides)
        height, width, channels = graph.output.shape
        rows, columns = window.outputs(height, width)
        if min(rows, columns) < 1:
            raise ValueError(
                f"layer {graph.path} ({type(self).__name__}): a window of {self.pool_size} does not fit samples of "
                f"{(height, width)[-self.axes:]}; use a smaller one"
            )
        graph.node(self.kind, (rows, columns, channels), window=window)
        as_sequence(graph, self.axes)

    def label(self) -> str:
        """Window.

        Returns
        -------
        str
            For the summary.
        """
        return f" {'x'.join(map(str, self.pool_size))}"


class MaxPool2D(_Pool):
    """Largest of each window, ``y[i, j, c] = max x[i s + k, j s + l, c]``.

    Rows and columns that fill no window are left out.

    Parameters
    ----------
    pool_size : int or tuple of two ints, optional
        Height and width of the window.
    strides : int or tuple of two ints, optional
        Steps from window to window, s above; those of the window by default.

    Raises
    ------
    ValueError
        If a number is not positive.

    Notes
    -----
    Where several are the largest, the gradient goes to the first.
    """

    kind, axes = "max_pool", 2


class MaxPool1D(_Pool):
    """Largest of each window, ``y[i, c] = max x[i s + k, c]``.

    Elements that fill no window are left out.

    Parameters
    ----------
    pool_size : int, optional
        Length of the window.
    strides : int, optional
        Steps from window to window, s above; the window's length by default.

    Raises
    ------
    ValueError
        If a number is not positive.
    """

    kind, axes = "max_pool", 1


class AvgPool2D(_Pool):
    """Mean of each window, ``y[i, j, c] = mean x[i s + k, j s + l, c]``.

    Rows and columns that fill no window are left out.

    Parameters
    ----------
    pool_size : int or tuple of two ints, optional
        Height and width of the window.
    strides : int or tuple of two ints, optional
        Steps from window to window, s above; those of the window by default.

    Raises
    ------
    ValueError
        If a number is not positive.
    """

    kind, axes = "average_pool", 2


class AvgPool1D(_Pool):
    """Mean of each window, ``y[i, c] = mean x[i s + k, c]``.

    Elements that fill no window are left out.

    Parameters
    ----------
    pool_size : int, optional
        Length of the window.
    strides : int, optional
        Steps from window to window, s above; the window's length by default.

    Raises
    ------
    ValueError
        If a number is not positive.
    """

    kind, axes = "average_pool", 1


class _GlobalPool(Layer):
    kind: str

    def build(self, graph: Graph) -> None:
        """Write the layer behind the graph's output.

        Parameters
        ----------
        graph : Graph
            Description of the model so far.

        Raises
        ------
        ValueError
            If samples are neither images nor sequences.
        """
        shape = graph.output.shape
        as_image(graph, self, 1 if len(shape) == 2 else 2)
        graph.node(self.kind, (1, 1, shape[-1]), window=Window(graph.output.shape[:2]))
        graph.node("reshape", shape[-1:])


class GlobalAvgPool(_GlobalPool):
    """Mean of each channel, ``y[c] = mean x[..., c]``, over an image or a sequence."""

    kind = "average_pool"


class GlobalMaxPool(_GlobalPool):
    """Largest of each channel, ``y[c] = max x[..., c]``, over an image or a sequence."""

    kind = "max_pool"
