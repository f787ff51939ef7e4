"""How good predictions are, as reports show it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MOST_SHOWN = 20  # classes of which the whole confusion matrix is shown


class Error(NamedTuple):
    """Of one column of predicted numbers; without a coefficient of determination where the target is constant."""

    rmse: float
    r2: float | None


def errors(y: np.ndarray, prediction: np.ndarray) -> list[Error]:
    """Root mean squared error and R² of each column.

    Parameters
    ----------
    y, prediction : ndarray of shape (n, outputs)
        Numbers.

    Returns
    -------
    list of Error
        One a column.
    """
    squares, variances = ((prediction - y) ** 2).mean(axis=0), y.var(axis=0)
    return [
        Error(float(s**0.5), float(1 - s / v) if v > 0 else None) for s, v in zip(squares, variances, strict=True)
    ]


def confusion(classes: int, y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """How many samples of each class, down, were predicted to be of which, across.

    Parameters
    ----------
    classes : int
        How many there are.
    y, prediction : ndarray of shape (n,)
        Labels from 0.

    Returns
    -------
    ndarray of int, shape (classes, classes)
        Counts.
    """
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (y, prediction), 1)
    return counts


def frequent(counts: np.ndarray) -> list[tuple[int, int]]:
    """The most frequent mistakes.

    Parameters
    ----------
    counts : ndarray of int, shape (classes, classes)
        From `confusion`.

    Returns
    -------
    list of tuple of int
        True class and predicted one, from the most frequent; 20 at most.
    """
    wrong = counts * (1 - np.eye(len(counts), dtype=int))
    cells = np.argsort(-wrong, axis=None, kind="stable")[:MOST_SHOWN]
    return [(i, j) for i, j in (divmod(int(cell), len(counts)) for cell in cells) if wrong[i, j]]
