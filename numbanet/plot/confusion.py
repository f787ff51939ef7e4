"""Which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from numbanet.plot.style import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 20  # classes of which each number is written


def confusion_matrix(
    y: ArrayLike, predicted: ArrayLike, ax: Axes | None = None, *, classes: Sequence[Any] | None = None
) -> Axes:
    """Draw how many samples of each class were predicted to be of which.

    Parameters
    ----------
    y, predicted : array_like of shape (n,)
        Labels, and those predicted.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure where left out.
    classes : sequence, optional
        Names of the classes, where labels count from 0; otherwise the labels that there are.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn; rows are the classes, columns the predictions.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If the labels differ in number, or one has no name.
    """
    true, guess = np.ravel(y), np.ravel(predicted)
    if len(true) != len(guess) or not len(true):
        raise ValueError(f"y has {len(true)} labels and predicted {len(guess)}; expected as many, and one at least")
    labels = np.unique(np.concatenate([true, guess])) if classes is None else np.arange(len(classes))
    if not np.isin(true, labels).all() or not np.isin(guess, labels).all():
        raise ValueError(f"classes has {len(labels)} names; labels must be from 0 to {len(labels) - 1}")
    counts = np.zeros((len(labels), len(labels)), int)
    np.add.at(counts, (np.searchsorted(labels, true), np.searchsorted(labels, guess)), 1)
    ax = new_axes() if ax is None else ax
    # A row's shares: a rare class is as easy to read as a frequent one.
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(labels) <= MOST:
        for (i, j), n in np.ndenumerate(counts):
            if n:
                ax.text(j, i, str(n), ha="center", va="center", fontsize="small",
                        color="white" if shares[i, j] > 0.5 else "black")
    names = [str(name) for name in (labels if classes is None else classes)]
    step = -(-len(names) // MOST)
    ax.set_xticks(range(0, len(names), step), names[::step], rotation=90 if max(map(len, names)) > 3 else 0)
    ax.set_yticks(range(0, len(names), step), names[::step])
    ax.set_xlabel("predicted")
    ax.set_ylabel("class")
    return ax
