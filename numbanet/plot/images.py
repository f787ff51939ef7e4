"""What convolutional networks look for, see, and go by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numbanet.backend import new_predictor
from numbanet.data import as_samples
from numbanet.graph import Node
from numbanet.model import Sequential
from numbanet.plot.style import POSITIVE, SIGNED, bare, mosaic, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def filters(
    model: Sequential, layer: int | None = None, ax: Axes | None = None, *, shape: tuple[int, int] | None = None
) -> Axes:
    """Draw the weights of a layer as images: blue is positive, red negative.

    Parameters
    ----------
    model : Sequential
        The network.
    layer : int, optional
        Index of the layer; the first convolution, or dense layer where a shape is given, by default.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure where left out.
    shape : tuple of int, optional
        Rows and columns of the images that a dense layer takes as vectors.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn. Of a convolution of several channels each row shows a channel, each column a filter.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If there is no such layer, or its weights have another shape.
    """
    node = _node(model, layer, "dense" if shape else "convolution")
    kernel = next(p for p in node.parameters if p.role == "kernel")
    weights = model.parameters[kernel.offset : kernel.end].reshape(kernel.shape).astype(float)
    if shape is not None:
        if np.prod(shape) != kernel.shape[0]:
            inputs = kernel.shape[0]
            raise ValueError(f"shape {tuple(shape)} has {np.prod(shape)} elements; the layer has {inputs} inputs")
        weights = weights.reshape(*shape, 1, -1)
    elif weights.ndim == 3:  # of one dimension
        weights = weights[np.newaxis]
    rows, columns, channels, units = weights.shape
    tiles = weights.transpose(2, 3, 0, 1).reshape(channels * units, rows, columns)
    most = np.abs(weights).max()
    return _tiled(tiles, units if channels > 1 else _across(units), ax, cmap=SIGNED, vmin=-most, vmax=most)


def feature_maps(model: Sequential, x: Any, layer: int | None = None, ax: Axes | None = None) -> Axes:
    """Draw what a layer makes of an image, channel by channel.

    Parameters
    ----------
    model : Sequential
        The network.
    x : array_like of the shape of a sample
        The image.
    layer : int, optional
        Index of the layer; the first convolution by default.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure where left out.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError
        If there is no such layer, what it gives are no images, or ``x`` can't be used.
    """
    graph = model.graph
    index = _node(model, layer, None if layer is not None else "convolution").layer
    last = max(k for k, node in enumerate(graph.nodes) if node.layer == index)
    samples = as_samples(np.asarray(x)[np.newaxis], graph, model.dtype)
    outputs = new_predictor(graph.until(last), model.dtype)(model.parameters, samples)[0]
    if outputs.ndim != 3:
        raise ValueError(f"layer {index} gives values of shape {outputs.shape}, which are no images")
    return _tiled(outputs.transpose(2, 0, 1).astype(float), _across(outputs.shape[2]), ax, cmap=POSITIVE)


def saliency(model: Sequential, x: Any, output: int | None = None, ax: Axes | None = None) -> Axes:
    """Draw an image, and over it how much an output depends on each pixel.

    Simonyan et al., Deep inside convolutional networks (2014): the derivative's magnitude, the largest of the channels.

    Parameters
    ----------
    model : Sequential
        The network.
    x : array_like of the shape of a sample
        The image, of shape (rows, columns) or (rows, columns, channels).
    output : int, optional
        Index of the output; the largest by default.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure where left out.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError, IndexError
        If ``x`` can't be used, or there is no such output.
    """
    image = np.asarray(x)
    if image.ndim not in (2, 3):
        raise ValueError(f"x has shape {image.shape}; expected (rows, columns) or (rows, columns, channels)")
    if output is None:
        output = int(model.predict(image[np.newaxis])[0].argmax())
    slopes = np.abs(model.gradient(image[np.newaxis], output)[0])
    pixels = np.asarray(image, float).reshape(*image.shape[:2], -1).mean(axis=2)
    ax = new_axes() if ax is None else ax
    ax.imshow(pixels, cmap="gray_r")
    strength = slopes.reshape(*image.shape[:2], -1).max(axis=2)
    ax.imshow(strength, cmap="Reds", alpha=0.9 * strength / max(strength.max(), np.finfo(float).tiny))
    ax.set_title(f"output {output}", fontsize="medium")
    return bare(ax)


def _node(model: Sequential, layer: int | None, kind: str | None) -> Node:
    """The first of a kind, or of a layer, or both."""
    found = [node for node in model.graph.nodes if layer in (None, node.layer) and kind in (None, node.kind)]
    if not found:
        where = "the model" if layer is None else f"layer {layer}"
        raise ValueError(f"{where} has no {kind or 'computation'}; its layers: {', '.join(map(repr, model.layers))}")
    return found[0]


def _across(n: int) -> int:
    """Columns of a mosaic that is a little wider than high."""
    return int(np.ceil(np.sqrt(1.3 * n)))


def _tiled(tiles: np.ndarray, columns: int, ax: Axes | None, **colors: Any) -> Axes:
    ax = new_axes() if ax is None else ax
    ax.imshow(mosaic(tiles, min(columns, len(tiles))), **colors)
    return bare(ax)
