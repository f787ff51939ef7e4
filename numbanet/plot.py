"""Pictures of training; matplotlib is loaded when one is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

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
        try:
            from matplotlib import pyplot
        except ImportError:
            raise ImportError("pictures need matplotlib: pip install 'numbanet[plot]'") from None
        ax = pyplot.subplots(layout="constrained")[1]
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
    ax.grid(alpha=0.25, lw=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    return ax
