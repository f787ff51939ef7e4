"""What units with a step have in common: the side of a plane decides."""

from __future__ import annotations

from typing import Any

import numpy as np

from numbanet.data import as_features


class LinearUnit:
    """Two classes on the two sides of a plane."""

    classes_: np.ndarray
    coef_: np.ndarray
    intercept_: np.ndarray

    def decision_function(self, X: Any) -> np.ndarray:
        """Logits.

        Parameters
        ----------
        X : array_like of shape (n, k)
            Samples.

        Returns
        -------
        ndarray of shape (n,)
            ``weights · x + bias``, at least 0 where the unit fires.

        Raises
        ------
        TypeError, ValueError
            If the samples can't be used.
        """
        return matrix(X, self.coef_.shape[1]) @ self.coef_[0] + self.intercept_[0]

    def predict(self, X: Any) -> np.ndarray:
        """Labels.

        Parameters
        ----------
        X : array_like of shape (n, k)
            Samples.

        Returns
        -------
        ndarray of shape (n,)
            The second class where the unit fires.

        Raises
        ------
        TypeError, ValueError
            If the samples can't be used.
        """
        return self.classes_[(self.decision_function(X) >= 0).astype(int)]

    def score(self, X: Any, y: Any) -> float:
        """Part of the samples that are labelled right.

        Parameters
        ----------
        X : array_like of shape (n, k)
            Samples.
        y : array_like of shape (n,)
            Labels.

        Returns
        -------
        float
            From 0 to 1.

        Raises
        ------
        TypeError, ValueError
            If the samples can't be used.
        """
        return float(np.mean(self.predict(X) == np.asarray(y)))

    def boundary(self) -> tuple[np.ndarray, float]:
        """Plane between the classes, a line of two inputs.

        Returns
        -------
        normal : ndarray of shape (k,)
            Unit vector towards the second class.
        distance : float
            Of the plane from the origin, along the normal: its points have ``normal · x = distance``.

        Raises
        ------
        ValueError
            If all weights are zero, and there is no plane.
        """
        length = float(np.linalg.norm(self.coef_))
        if length == 0:
            raise ValueError("all weights are zero: the unit says the same of every sample, and has no boundary")
        return self.coef_[0] / length, float(-self.intercept_[0] / length)


def two_classes(y: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of two classes, sorted, and for each sample -1.0 or 1.0."""
    labels = np.asarray(y)
    if labels.shape != (n,):
        raise ValueError(f"y has shape {labels.shape}; expected ({n},), a label for each sample")
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) != 2:
        raise ValueError(f"y has {len(classes)} classes; a single unit tells two apart")
    return classes, 2.0 * codes - 1.0


def matrix(X: Any, k: int | None = None) -> np.ndarray:
    """Samples of k features, in float64."""
    samples = as_features(X, dtype=np.float64)
    if samples.ndim != 2 or (k is not None and samples.shape[1] != k):
        raise ValueError(f"X has shape {samples.shape}; expected (n, {'k' if k is None else k})")
    return samples
