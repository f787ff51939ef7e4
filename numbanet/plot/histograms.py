"""How weights and gradients are spread, layer by layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from numbanet.graph import Parameter
from numbanet.model import Sequential
from numbanet.plot.style import BLUE, RED, finished, row_of_axes

BINS = 40


def weight_histograms(model: Sequential, axes: Any = None) -> np.ndarray:
    """Draw a histogram of each layer's weights; biases are left out.

    Parameters
    ----------
    model : Sequential
        The network.
    axes : sequence of matplotlib.axes.Axes, optional
        As many as there are layers with weights; a new figure where left out.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        One a layer.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If the model has no weights, or axes are not as many.
    """
    return _histograms(model, model.parameters, axes, BLUE, "weight")


def gradient_histograms(trainer: Any, X: Any, y: Any, axes: Any = None) -> np.ndarray:
    """Draw a histogram of the gradient of each layer's weights.

    Parameters
    ----------
    trainer : Trainer
        Whose loss it is.
    X, y : array_like
        Samples and targets.
    axes : sequence of matplotlib.axes.Axes, optional
        As many as there are layers with weights; a new figure where left out.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        One a layer.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError
        If the samples can't be used, the model has no weights, or axes are not as many.
    """
    _, gradient = trainer.loss_and_gradient(X, y)
    return _histograms(trainer.model, gradient, axes, RED, "derivative of the loss")


def _histograms(model: Sequential, flat: np.ndarray, axes: Any, color: str, what: str) -> np.ndarray:
    shown = [p for p in model.graph.parameters if p.trained and not p.bias]
    if not shown:
        raise ValueError("the model has no weights to draw")
    row = row_of_axes(axes, len(shown))
    for ax, p in zip(row, shown, strict=True):
        ax.hist(_present(p, flat), BINS, color=color)
        ax.set_title(f"{type(model.layers[int(p.name.split('.')[0])]).__name__} {p.name}", fontsize="medium")
        ax.set_xlabel(what)
        finished(ax, legend=False)
    row[0].set_ylabel("number")
    return row


def _present(p: Parameter, flat: np.ndarray) -> np.ndarray:
    """Elements that training finds."""
    values = flat[p.offset : p.end].reshape(p.shape)
    return values.ravel() if p.mask is None else values[..., p.mask].ravel()
