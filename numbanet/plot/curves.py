"""Curves of training and of cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from numbanet.plot.style import GREEN, GREY, TRAIN, VALIDATION, finished, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def learning_curve(history: Mapping[str, Sequence[float]], ax: Axes | None = None, *, monitor: str = "loss",
                   mode: str = "min", rate: bool = False) -> Axes:
    """Draw a quantity over the epochs, for training and validation data, and mark its best epoch.

    Parameters
    ----------
    history : History or mapping of str to sequence of float
        What `Trainer.fit` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure where left out.
    monitor : str
        Column to draw, with ``val_`` before it for the validation data.
    mode : {'min', 'max'}
        Whether the least or the greatest value is the best.
    rate : bool
        Whether to draw the learning rate, too, with a logarithmic axis of its own on the right.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If `history` has no such column.
    """
    for name in (monitor, *["learning_rate"] * rate):
        if name not in history:
            raise ValueError(f"history has no '{name}'; it has: {', '.join(history) or 'nothing'}")
    if ax is None:
        ax = new_axes()
    values = np.asarray(history[monitor], float)
    epochs = np.asarray(history.get("epoch", np.arange(1, len(values) + 1)), float)
    # A dot where a line would have nothing to join.
    style: dict[str, Any] = {"lw": 1.8, "marker": "o" if len(values) < 3 else None, "ms": 4}
    ax.plot(epochs, values, color=TRAIN, label="training", **style)
    if f"val_{monitor}" in history:
        values = np.asarray(history[f"val_{monitor}"], float)
        ax.plot(epochs, values, color=VALIDATION, label="validation", **style)
    if np.isfinite(values).any():
        best = int(np.nanargmin(values) if mode == "min" else np.nanargmax(values))
        ax.axvline(epochs[best], color=GREY, lw=0.8, ls=":", zorder=0)
        ax.plot(epochs[best], values[best], "o", ms=6, mfc="white", mec=GREY, mew=1.5, zorder=3,
                label=f"best: {values[best]:.4g}, epoch {epochs[best]:.0f}")
    ax.set_xlabel("epoch")
    ax.set_ylabel(monitor.replace("_", " "))
    if rate:
        _learning_rate(ax, epochs, np.asarray(history["learning_rate"], float))
    return finished(ax)


def _learning_rate(ax: Axes, epochs: np.ndarray, rates: np.ndarray) -> None:
    other = ax.twinx()
    other.plot(epochs, rates, color=GREEN, lw=1, ls="--", drawstyle="steps-post")
    other.set_yscale("log")
    other.set_ylabel("learning rate", color=GREEN)
    other.spines["top"].set_visible(False)
    ax.plot([], [], color=GREEN, lw=1, ls="--", label="learning rate")


def validation_curve(strengths: ArrayLike, means: ArrayLike, errors: ArrayLike, chosen: float, ax: Axes | None = None
                     ) -> Axes:
    """Draw scores of cross-validation over the strengths of a penalty, with the limit of one standard error.

    Parameters
    ----------
    strengths, means, errors : array_like
        Strengths, and of each the mean score and its standard error.
    chosen : float
        Strength to mark.
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
    """
    ax = new_axes() if ax is None else ax
    x, y, bars = np.asarray(strengths, float), np.asarray(means, float), np.asarray(errors, float)
    shown = np.isfinite(y)
    ax.errorbar(x[shown], y[shown], bars[shown], color=VALIDATION, lw=1.8, marker="o", ms=4, capsize=3,
                label="mean of the folds, standard error")
    best = int(y.argmin())
    ax.axhline(y[best] + bars[best], color=GREY, lw=0.8, ls=":", zorder=0, label="best + one standard error")
    ax.plot(chosen, y[list(x).index(chosen)], "o", ms=9, mfc="none", mec=TRAIN, mew=1.8, label=f"chosen: {chosen:.3g}")
    ax.set_xscale("symlog", linthresh=max(x[x > 0].min(initial=1.0), 1e-12)) if (x == 0).any() else ax.set_xscale("log")
    ax.set_xlabel("weight decay")
    ax.set_ylabel("validation loss")
    return finished(ax)
