"""Formulas and their derivatives, as they stand in the registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from numbanet.plot.style import BLUE, GREY, RED, finished, new_axes
from numbanet.registry import get
from numbanet.spec import Activation, Loss
from numbanet.spec import limits as ends_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 801
TARGETS = {  # what a loss is drawn for
    "real": (0.0,), "positive": (1.0,), "nonnegative": (1.0,), "binary": (0.0, 1.0), "sign": (-1.0, 1.0),
}  # fmt: skip


def activation(spec: str | Activation, ax: Axes | None = None, *, limits: tuple[float, float] = (-4.0, 4.0)) -> Axes:
    """Draw an activation and its derivative.

    Of one that takes a whole row, such as softmax, the first of three outputs is drawn over the first input, the other
    two inputs being 0.

    Parameters
    ----------
    spec : str or Activation
        What to draw.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure where left out.
    limits : tuple of float
        Ends of the inputs.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If the name is unknown.
    """
    formula: Activation = get("activation", spec)
    ax = new_axes() if ax is None else ax
    low, high = ends_of(formula.finite)
    x = np.linspace(max(limits[0], low), min(limits[1], high), POINTS)
    found = np.array([_activation(formula, float(value)) for value in x])
    ax.plot(x, found[:, 0], color=BLUE, lw=1.8, label=formula.name)
    ax.plot(x, found[:, 1], color=RED, lw=1.4, ls="--", label="derivative")
    _axis_lines(ax)
    ax.set_xlabel("logit")
    return finished(ax)


def _activation(spec: Activation, x: float) -> tuple[float, float]:
    params = spec.params.values()
    if spec.row:
        row, y, slope = np.array([x, 0.0, 0.0]), np.empty(3), np.array([1.0, 0.0, 0.0])
        spec.forward(row, y, *params)
        if spec.derivative is None:
            return float(y[0]), np.nan
        spec.derivative(row, y, slope, *params)
        return float(y[0]), float(slope[0])
    value = spec.forward(x, *params)
    derivative = spec.slope
    assert derivative is not None
    return value, derivative(x, value, *params)


def loss(spec: str | Loss, ax: Axes | None = None, *, limits: tuple[float, float] | None = None) -> Axes:
    """Draw a loss over the network's output, for each target that tells it, and its derivative.

    Of one that takes a whole row, such as the softmax cross-entropy, the first of two outputs is varied, with the first
    or the second as the target. The other output is 0, or 1 where targets are no classes.

    Parameters
    ----------
    spec : str or Loss
        What to draw.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure where left out.
    limits : tuple of float, optional
        Ends of the outputs; those of which the loss can be computed, from -3 to 3.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If the name is unknown.
    """
    formula: Loss = get("loss", spec)
    ax = new_axes() if ax is None else ax
    x = np.linspace(*(limits or (-3.0, 3.0)), POINTS)
    targets: tuple[Any, ...] = ((1.0, 0.0), (0.0, 1.0)) if formula.row else TARGETS[formula.targets]
    for target, color in zip(targets, (BLUE, RED), strict=False):
        of = _row_loss(formula, target) if formula.row else _loss(formula, target)
        found = np.array([of(float(value)) for value in x])
        shown = f"target {int(np.argmax(target)) + 1} of 2" if formula.row else f"target {target:g}"
        ax.plot(x, found[:, 0], color=color, lw=1.8, label=f"{formula.name}, {shown}")
        ax.plot(x, found[:, 1], color=color, lw=1.2, ls="--", label="derivative")
    _axis_lines(ax)
    ax.set_xlabel("output")
    return finished(ax)


def _loss(spec: Loss, target: float) -> Callable[[float], tuple[float, float]]:
    derivative, params = spec.slope, spec.params.values()
    assert derivative is not None

    def of(output: float) -> tuple[float, float]:
        try:
            return spec.loss(output, target, *params), derivative(output, target, *params)
        except (ArithmeticError, ValueError):  # compiled code gives NaN or infinity, where Python's math raises
            return np.nan, np.nan

    return of


def _row_loss(spec: Loss, target: tuple[float, float]) -> Callable[[float], tuple[float, float]]:
    other = 0.0 if spec.targets == "classes" else 1.0  # of two zeros there is no direction

    def of(output: float) -> tuple[float, float]:
        gradient = np.empty(2)
        try:
            value = spec.loss(np.array([output, other]), np.array(target), gradient, *spec.params.values())
        except (ArithmeticError, ValueError):
            return np.nan, np.nan
        return float(value), float(gradient[0])

    return of


def _axis_lines(ax: Axes) -> None:
    ax.axhline(0, color=GREY, lw=0.6, zorder=0)
    ax.axvline(0, color=GREY, lw=0.6, zorder=0)
