"""Pooling: one number for every window of a channel."""

from __future__ import annotations

from numbanet.graph import Graph, Window
from numbanet.layers.base import Layer
from numbanet.layers.conv import pair


class _Pool2D(Layer):
    kind: str

    def __init__(self, pool_size: int | tuple[int, int] = 2, strides: int | tuple[int, int] | None = None) -> None:
        self.pool_size = pair("pool_size", pool_size)
        self.strides = self.pool_size if strides is None else pair("strides", strides)

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
        shape, name = graph.output.shape, type(self).__name__
        if len(shape) != 3:
            raise ValueError(
                f"layer {graph.layer} ({name}) takes samples of shape (height, width, channels), got shape {shape}"
            )
        window = Window(self.pool_size, self.strides)
        rows, columns = window.outputs(*shape[:2])
        if min(rows, columns) < 1:
            raise ValueError(
                f"layer {graph.layer} ({name}): a window of {self.pool_size} does not fit an image of {shape[:2]}; "
                "use a smaller one"
            )
        graph.node(self.kind, (rows, columns, shape[2]), window=window)

    def label(self) -> str:
        """Window.

        Returns
        -------
        str
            For the summary.
        """
        return f" {self.pool_size[0]}x{self.pool_size[1]}"


class MaxPool2D(_Pool2D):
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

    kind = "max_pool"


class AvgPool2D(_Pool2D):
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

    kind = "average_pool"
