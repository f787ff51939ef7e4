"""Units and the weights between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numbanet.model import Sequential
from numbanet.plot.formulas import POINTS
from numbanet.plot.style import BLUE, GREY, RED, bare, new_axes
from numbanet.registry import get
from numbanet.spec import Activation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 16  # units of a layer that are drawn
SHAPELESS = ("activation", "dropout", "gaussian_noise", "reshape", "affine", "batch_normalize", "layer_normalize")
WIDEST, THINNEST, RADIUS = 3.0, 0.2, 0.32


def network(model: Sequential, ax: Axes | None = None) -> Axes:
    """Draw a dense network: each weight a line, blue where positive, red where negative, as wide as it is large.

    Parameters
    ----------
    model : Sequential
        The network.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure where left out.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn. Of a layer of more than 16 units the first and the last eight are shown.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If a layer is neither dense nor without weights, or the input shape is not known yet.
    """
    graph = model.graph
    widths, kernels, labels = [graph.input.size], [], [f"{graph.input.size} input{'s' * (graph.input.size != 1)}"]
    for node in graph.nodes:
        if node.kind == "dense":
            p = next(p for p in node.parameters if p.role == "kernel")
            kernels.append(model.parameters[p.offset : p.end].reshape(p.shape))
            widths.append(node.output.size)
            labels.append(f"{node.output.size} unit{'s' * (node.output.size != 1)}")
        elif node.kind == "activation" and kernels and node.activation is not None:
            labels[-1] = f"{labels[-1].partition(chr(10))[0]}\n{node.activation.name}"
        elif node.kind not in SHAPELESS:
            layer = model.layers[node.layer]
            raise ValueError(f"layer {node.layer} is {layer!r}; only networks of dense layers are drawn")
    ax = new_axes() if ax is None else ax
    shown = [_shown(width) for width in widths]
    height = max(len(units) for units in shown)
    places = [_places(units, width, height) for units, width in zip(shown, widths, strict=True)]
    gap = max(2.5, 0.45 * height)
    for i, kernel in enumerate(kernels):
        _lines(ax, i * gap, (i + 1) * gap, kernel[np.ix_(shown[i], shown[i + 1])], places[i], places[i + 1])
    for i, (width, y) in enumerate(zip(widths, places, strict=True)):
        _units(ax, i * gap, y)
        if width > MOST:
            ax.text(i * gap, 0, "⋮", ha="center", va="center")
        ax.text(i * gap, -height / 2 - 0.6, labels[i], ha="center", va="top", fontsize="small")
    ax.set_xlim(-0.8, (len(widths) - 1) * gap + 0.8)
    ax.set_ylim(-height / 2 - 2.2, height / 2 + 0.6)
    return bare(ax)


def _shown(width: int) -> np.ndarray:
    """Indices of units that are drawn."""
    return np.arange(width) if width <= MOST else np.r_[: MOST // 2, width - MOST // 2 : width]


def _places(units: np.ndarray, width: int, height: int) -> np.ndarray:
    """Heights of units, with a place left in the midst for those that are left out."""
    n = len(units)
    y = (n - 1) / 2 - np.arange(n, dtype=float)
    if width > MOST:
        y[: n // 2] += 0.5
        y[n // 2 :] -= 0.5
    return y * (height / max(n, 1)) ** 0.5 if n < height else y


def _lines(ax: Axes, left: float, right: float, weights: np.ndarray, begin: np.ndarray, end: np.ndarray) -> None:
    from matplotlib.collections import LineCollection

    most = np.abs(weights).max() or 1.0
    order = np.argsort(np.abs(weights), axis=None)  # the largest on top
    i, j = np.unravel_index(order, weights.shape)
    flat = weights[i, j]
    segments = [((left, begin[a]), (right, end[b])) for a, b in zip(i, j, strict=True)]
    shades = np.abs(flat) / most
    colors = np.where(flat > 0, BLUE, RED)
    ax.add_collection(LineCollection(segments, colors=list(colors), linewidths=np.maximum(WIDEST * shades, THINNEST),
                                     alpha=list(0.15 + 0.85 * shades), zorder=1))


def _units(ax: Axes, x: float, places: np.ndarray) -> None:
    from matplotlib.patches import Circle

    for y in places:
        ax.add_patch(Circle((x, y), RADIUS, fc="white", ec="black", lw=1.1, zorder=2))


def neuron(unit: Any, ax: Axes | None = None) -> Axes:
    """Draw one unit: inputs and weights, the sum with the bias, the activation, the output.

    Parameters
    ----------
    unit : Neuron, Perceptron or Adaline
        From `numbanet.classic`; the last two must be fitted.
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
    TypeError
        If it is something else, or not fitted.
    ValueError
        If it has more than 16 inputs.
    """
    weights, bias, formula = _parts(unit)
    if len(weights) > MOST:
        raise ValueError(f"the unit has {len(weights)} inputs; at most {MOST} can be drawn")
    from matplotlib.patches import Circle, Rectangle

    ax = new_axes() if ax is None else ax
    places = 1.3 * ((len(weights) - 1) / 2 - np.arange(len(weights), dtype=float))
    _lines(ax, 0.0, 3.0, weights[:, np.newaxis], places, np.zeros(1))
    _units(ax, 0.0, places)
    for i, (y, w) in enumerate(zip(places, weights, strict=True)):
        ax.text(0, y, f"$x_{{{i + 1}}}$", ha="center", va="center", fontsize="small", zorder=3)
        ax.text(1.35, y * 0.55 + 0.12, f"{w:.3g}", ha="center", va="bottom", fontsize="small",
                bbox={"fc": "white", "ec": "none", "pad": 0.8, "alpha": 0.8}, zorder=3)
    ax.plot([3, 6.6], [0, 0], color=GREY, lw=1.2, zorder=1)
    ax.add_patch(Circle((3, 0), 0.55, fc="white", ec="black", lw=1.1, zorder=2))
    ax.text(3, 0, "Σ", ha="center", va="center", zorder=3)
    ax.plot([3, 3], [0, -1.25], color=GREY, lw=1.2, zorder=1)
    ax.text(3, -1.35, f"bias {bias:.3g}", ha="center", va="top", fontsize="small")
    ax.add_patch(Rectangle((4.4, -0.6), 1.2, 1.2, fc="white", ec="black", lw=1.1, zorder=2))
    _curve(ax, formula)
    ax.text(5, 0.75, formula.name, ha="center", va="bottom", fontsize="small")
    ax.text(6.75, 0, "output", ha="left", va="center", fontsize="small")
    ax.set_xlim(-0.6, 8.2)
    ax.set_ylim(min(places[-1] - 0.6, -1.9), max(places[0] + 0.6, 1.4))
    return bare(ax)


def _parts(unit: Any) -> tuple[np.ndarray, float, Activation]:
    if hasattr(unit, "model"):
        return unit.weights, unit.bias, get("activation", unit.model.layers[0].activation)
    if hasattr(unit, "coef_"):
        return unit.coef_[0], float(unit.intercept_[0]), get("activation", "step")
    raise TypeError(f"unit must be a Neuron, or a Perceptron or Adaline that is fitted, got {unit!r}")


def _curve(ax: Axes, formula: Activation) -> None:
    """The activation in a box from -4 to 4."""
    x = np.linspace(-4, 4, POINTS)
    y = np.array([formula.forward(float(value), *formula.params.values()) for value in x])
    extent = float(np.ptp(y)) or 1.0
    ax.plot(5 + x / 8, -0.45 + 0.9 * (y - y.min()) / extent, color=BLUE, lw=1.5, zorder=3)
