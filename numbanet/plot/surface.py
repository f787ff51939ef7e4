"""The loss along two directions in the space of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from numbanet.plot.style import POSITIVE, RED, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVELS = 24
MARGIN = 0.25  # of the path's extent, around it


def loss_surface(
    trainer: Any, X: Any, y: Any, ax: Axes | None = None, *, path: Sequence[np.ndarray] | None = None,
    directions: Any = None, span: float | None = None, resolution: int = 41,
) -> Axes:  # fmt: skip
    """Draw the loss on a plane in the space of the weights, and the way that an optimiser took.

    The plane goes through the model's weights, or the end of the path. It is spanned by the two directions in which
    the path extends most, its principal components, or by random ones where there is no path (Li et al., Visualizing
    the loss landscape of neural nets, 2018). A model of two parameters is drawn over these.

    Parameters
    ----------
    trainer : Trainer
        Whose loss it is, penalties included.
    X, y : array_like
        Samples and targets.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure where left out.
    path : sequence of ndarray of shape (n,), optional
        Parameters on the way, as a callback recorded them.
    directions : array_like of shape (2, n), optional
        Other directions.
    span : float, optional
        How far to go to each side; by default as far as the path, or half of the weights' length.
    resolution : int
        Points along each side.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn. Between two lines of equal loss lie equally many points.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError
        If the samples can't be used, or path or directions have another length than the parameters.
    """
    origin = trainer.model.parameters.astype(float) if path is None else np.asarray(path[-1], float)
    n = trainer.model.parameters.size
    way = np.empty((0, n)) if path is None else np.asarray(path, float)
    if way.shape[1:] != (n,):
        raise ValueError(f"path has shape {way.shape}; expected (steps, {n}), the model's parameters")
    plain = n == 2 and directions is None
    if plain:
        origin = np.zeros(2)
    axes = np.eye(2) if plain else _directions(directions, way - origin, n)
    walked = (way - origin) @ np.linalg.pinv(axes)
    centre = walked if len(walked) else (trainer.model.parameters - origin)[np.newaxis] @ np.linalg.pinv(axes)
    low, high = centre.min(axis=0), centre.max(axis=0)
    reach = np.maximum((high - low) * MARGIN, 0.05 * np.linalg.norm(origin) + 1e-3)
    if span is not None or not len(walked):
        reach = np.full(2, span if span is not None else 0.5 * np.linalg.norm(trainer.model.parameters))
    sides = [np.linspace(a, b, resolution) for a, b in zip(low - reach, high + reach, strict=True)]
    from matplotlib.colors import BoundaryNorm

    ax = new_axes() if ax is None else ax
    values = np.array([[_loss(trainer, X, y, origin + a * axes[0] + b * axes[1]) for a in sides[0]] for b in sides[1]])
    levels = np.unique(np.quantile(values[np.isfinite(values)], np.linspace(0, 1, LEVELS)))
    drawn = ax.contourf(*sides, values, levels, cmap=POSITIVE, norm=BoundaryNorm(levels, 256))
    ax.figure.colorbar(drawn, ax=ax, label="loss", format="%.3g", ticks=levels[:: len(levels) // 6 or 1])
    if len(walked):
        ax.plot(*walked.T, "-", color=RED, lw=1.2, marker="o", ms=2.5)
        ax.plot(*walked[-1], "o", ms=7, mfc="white", mec=RED, mew=1.5)
    names = [p.name for p in trainer.model.graph.parameters]
    if plain:
        names = names if len(names) == 2 else [f"{names[0]}[0]", f"{names[0]}[1]"]
    ax.set_xlabel(names[0] if plain else "first direction")
    ax.set_ylabel(names[1] if plain else "second direction")
    return ax


def _loss(trainer: Any, X: Any, y: Any, parameters: np.ndarray) -> float:
    return float(trainer.loss_and_gradient(X, y, parameters.astype(trainer.dtype))[0])


def _directions(given: Any, steps: np.ndarray, n: int) -> np.ndarray:
    """Two vectors of length 1, the second at a right angle to the first."""
    if given is not None:
        axes = np.asarray(given, float)
        if axes.shape != (2, n) or np.linalg.matrix_rank(axes) < 2:
            raise ValueError(f"directions has shape {axes.shape}; expected two vectors of {n} numbers that differ")
        return axes
    rng = np.random.default_rng(0)
    found = np.linalg.svd(steps, full_matrices=False)[2][:2] if len(steps) > 2 else np.empty((0, n))
    return np.linalg.qr(np.vstack([found, rng.standard_normal((2 - len(found), n))]).T)[0].T[:2]
