"""Pictures of training; matplotlib is loaded when one is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRAIN, VALIDATION, GREY = "#4477aa", "#ee6677", "#777777"  # Tol's bright scheme: safe for the colour-blind


def learning_curve(history: Mapping[str, Sequence[float]], ax: Axes | None = None, *, monitor: str = "loss",
                   mode: str = "min") -> Axes:
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
    if monitor not in history:
        raise ValueError(f"history has no '{monitor}'; it has: {', '.join(history) or 'nothing'}")
    if ax is None:
        ax = _new_axes()
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
    return _finished(ax)


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
    ax = _new_axes() if ax is None else ax
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
    return _finished(ax)


def save_picture(path: Path, draw: Callable[..., Any], panels: int = 1) -> bool:
    """Draw into a file, without a display.

    Parameters
    ----------
    path : Path
        PNG file to write.
    draw : callable
        Takes as many axes as there are panels.
    panels : int
        Side by side.

    Returns
    -------
    bool
        Whether matplotlib is there.
    """
    try:
        # Without pyplot, which looks for a display.
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(4.8 * panels, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    draw(*np.atleast_1d(figure.subplots(1, panels)))
    figure.savefig(path, dpi=120)
    return True


def _new_axes() -> Axes:
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install 'numbanet[plot]'") from None
    return pyplot.subplots(layout="constrained")[1]


def _finished(ax: Axes) -> Axes:
    ax.grid(alpha=0.25, lw=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    return ax
