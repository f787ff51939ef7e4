"""Classes in the plane."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from numbanet.plot.style import CLASSES, MARKERS, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARGIN = 0.15  # of the samples' extent, around them


def decision_regions(
    predictor: Any, X: ArrayLike, y: ArrayLike, ax: Axes | None = None, *, threshold: float | None = None,
    resolution: int = 300,
) -> Axes:  # fmt: skip
    """Draw which class each point of the plane is given, with the boundaries between them, and the samples.

    Parameters
    ----------
    predictor : estimator, Trainer, Sequential or callable
        Anything with ``predict``, or a function of an array of shape (n, 2). It gives labels, a column of scores for
        each class, or one column of scores.
    X : array_like of shape (n, 2)
        Samples.
    y : array_like of shape (n,)
        Labels.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure where left out.
    threshold : float, optional
        Score from which on a single column means the second class: 0.5 for a trainer, unless its loss has signs as
        targets, and 0 for others.
    resolution : int
        Points along each side.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If the samples don't lie in a plane, or there are not as many labels.
    """
    samples, labels = np.asarray(X, float), np.ravel(y)
    if samples.ndim != 2 or samples.shape[1] != 2 or len(samples) != len(labels):
        raise ValueError(f"X has shape {samples.shape} and y {len(labels)} labels; expected (n, 2) and n")
    ax = new_axes() if ax is None else ax
    classes = np.unique(labels)
    low, high = samples.min(axis=0), samples.max(axis=0)
    around = MARGIN * np.where(high > low, high - low, 1.0)
    sides = [np.linspace(a, b, resolution) for a, b in zip(low - around, high + around, strict=True)]
    points = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
    index = _class_indices(predictor, points, classes, threshold).reshape(resolution, resolution)
    levels = np.arange(-0.5, max(len(classes), index.max() + 1))
    colors = [CLASSES[i % len(CLASSES)] for i in range(len(levels) - 1)]
    ax.contourf(*sides, index, levels, colors=colors, alpha=0.2)
    for edge in levels[1:-1]:
        ax.contour(*sides, index, [edge], colors="black", linewidths=0.9)
    for i, label in enumerate(classes):
        x1, x2 = samples[labels == label].T
        ax.scatter(x1, x2, s=18, color=CLASSES[i % len(CLASSES)], marker=MARKERS[i % len(MARKERS)],
                   edgecolor="white", linewidth=0.5, label=str(label), zorder=3)
    ax.set_xlabel("$x_1$")
    ax.set_ylabel("$x_2$")
    ax.legend(title="class", framealpha=0.8)
    return ax


def _class_indices(predictor: Any, points: np.ndarray, classes: np.ndarray, threshold: float | None) -> np.ndarray:
    predict: Callable[[np.ndarray], Any] = getattr(predictor, "predict", predictor)
    found = np.asarray(predict(points))
    if found.ndim == 2 and found.shape[1] > 1:
        return found.argmax(axis=1)
    if found.ndim == 2 or (found.dtype.kind == "f" and not np.isin(found, classes).all()):
        if threshold is None:
            targets = getattr(getattr(predictor, "loss", None), "targets", "sign")
            threshold = 0.0 if targets == "sign" else 0.5
        return (found.ravel() >= threshold).astype(int)
    return np.searchsorted(classes, found)
