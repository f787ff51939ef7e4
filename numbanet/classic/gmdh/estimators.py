"""Ivakhnenko's group method of data handling: networks that grow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from numbanet.checks import fraction, positive_int, real_array, whole_number
from numbanet.classic.gmdh.polynomial import Polynomial
from numbanet.classic.gmdh.selection import CRITERIA, Selection
from numbanet.classic.linear import matrix
from numbanet.device import available_threads


class _GMDH:
    """What both estimators have in common."""

    def __init__(
        self, *, criterion: str = "regularity", keep: int | None = None, max_layers: int = 10,
        checking_fraction: float = 0.5, seed: int = 0, threads: int | None = None,
    ) -> None:  # fmt: skip
        if criterion not in CRITERIA:
            raise ValueError(f"criterion must be one of {', '.join(CRITERIA)}; got {criterion!r}")
        self.criterion = criterion
        self.keep = None if keep is None else whole_number("keep", keep, 2)
        self.max_layers = positive_int("max_layers", max_layers)
        self.checking_fraction = fraction("checking_fraction", checking_fraction)
        self.seed = whole_number("seed", seed, 0)
        self.threads = None if threads is None else positive_int("threads", threads)

    def _fit(self, X: Any, targets: list[np.ndarray], names: Sequence[str] | None) -> None:
        """A polynomial for each target, from the same samples."""
        samples = matrix(X)
        n, k = samples.shape
        if k < 2:
            raise ValueError("X has 1 feature; polynomials of pairs take at least 2")
        names = [f"x{i}" for i in range(k)] if names is None else list(names)
        if len(names) != k:
            raise ValueError(f"names has {len(names)} names for {k} features")
        learning = n - round(n * self.checking_fraction)
        if not 0 < learning < n:
            raise ValueError(f"{n} samples can't be divided into those that are learnt from and those that check")
        order = np.random.default_rng(self.seed).permutation(n)
        mean, scale = samples[order[:learning]].mean(axis=0), samples[order[:learning]].std(axis=0)
        scale[scale == 0] = 1.0
        features = np.ascontiguousarray(((samples[order] - mean) / scale).T)
        how = Selection(
            self.criterion, k if self.keep is None else self.keep, self.max_layers, self.threads or available_threads()
        )
        self.polynomials_, self.criteria_ = [], []
        for values in targets:
            offset, factor = float(values[order[:learning]].mean()), float(values[order[:learning]].std()) or 1.0
            layers = how.grow(features, (values[order] - offset) / factor, learning)
            self.polynomials_.append(Polynomial(layers, mean, scale, offset, factor, names))
            self.criteria_.append([float(layer.criteria[0]) for layer in layers])
        self.n_features_in_ = k


class GMDHRegressor(_GMDH):
    """A network that grows layer by layer, of quadratic polynomials in two variables each.

    Each layer fits a polynomial, by least squares on some of the samples, to every pair of what the layer before gives,
    and keeps those that do best on the other samples. It stops growing when the best no longer gets better.

    Parameters
    ----------
    criterion : {"regularity", "unbiasedness", "combined"}, optional
        By which polynomials are kept, of a target with variance 1: the mean squared error on samples that were not
        learnt from; the mean squared difference from the polynomial that those samples alone would give; their sum.
    keep : int, optional
        Polynomials that a layer keeps, at least 2; as many as there are features by default.
    max_layers : int, optional
        Layers at most.
    checking_fraction : float, optional
        Part of the samples that is not learnt from.
    seed : int, optional
        Decides which samples those are.
    threads : int, optional
        That share the pairs; one a core by default.

    Attributes
    ----------
    criteria_ : list of list of float
        The best of each layer, which descend.
    polynomials_ : list of Polynomial
        The one that was found.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.

    Notes
    -----
    Each layer doubles the polynomial's degree: beyond the samples that it was fitted to it may go far astray. Fewer
    layers are safer where samples are few.

    Ivakhnenko, Polynomial theory of complex systems (1971).

    Examples
    --------
    >>> import numpy as np
    >>> from numbanet.classic import GMDHRegressor
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> model = GMDHRegressor().fit(X, 2 * X[:, 0] * X[:, 2] + 1)
    >>> float(model.predict([[2.0, 5.0, -1.0]])[0].round(6))
    -3.0
    """

    def fit(self, X: Any, y: Any, names: Sequence[str] | None = None) -> Self:
        """Grow anew.

        Parameters
        ----------
        X : array_like of shape (n, k)
            Samples of at least two features.
        y : array_like of shape (n,)
            Numbers to predict.
        names : sequence of str, optional
            Of the features, for the formula; x0, x1 and so on by default.

        Returns
        -------
        GMDHRegressor
            Itself.

        Raises
        ------
        TypeError, ValueError
            If the samples can't be used.
        """
        values = real_array(y, "y").astype(np.float64)
        if values.shape != (len(np.asarray(X)),) or not np.isfinite(values).all():
            raise ValueError(f"y has shape {values.shape}; expected a finite number for each of {len(np.asarray(X))}")
        self._fit(X, [values], names)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Values of the polynomial.

        Parameters
        ----------
        X : array_like of shape (n, k)
            Samples.

        Returns
        -------
        ndarray of shape (n,)
            In float64.

        Raises
        ------
        TypeError, ValueError
            If the samples can't be used.
        """
        return self.polynomials_[0](matrix(X, self.n_features_in_))

    def score(self, X: Any, y: Any) -> float:
        """Coefficient of determination R².

        Parameters
        ----------
        X : array_like of shape (n, k)
            Samples.
        y : array_like of shape (n,)
            What they have.

        Returns
        -------
        float
            1 at best.

        Raises
        ------
        TypeError, ValueError
            If the samples can't be used.
        """
        values = np.asarray(y, np.float64)
        return float(1 - np.mean((self.predict(X) - values) ** 2) / values.var())

    def formula(self) -> str:
        """The polynomial, to be read.

        Returns
        -------
        str
            Lines of assignments, from the features to ``y``.
        """
        return str(self.polynomials_[0])

    def to_njit(self) -> Any:
        """The polynomial, for compiled code.

        Returns
        -------
        callable
            A function of one sample, an array of k numbers, that ``@njit`` code can call.
        """
        return self.polynomials_[0].to_njit()


class GMDHClassifier(_GMDH):
    """Polynomials as of `GMDHRegressor`, one for each class: 1 for its samples, 0 for others. The largest decides.

    Parameters
    ----------
    criterion, keep, max_layers, checking_fraction, seed, threads : optional
        As of `GMDHRegressor`.

    Attributes
    ----------
    classes_ : ndarray
        Labels, sorted.
    criteria_ : list of list of float
        Of each class, the best of each layer.
    polynomials_ : list of Polynomial
        One for each class; of two classes one, for the second.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.
    """

    def fit(self, X: Any, y: Any, names: Sequence[str] | None = None) -> Self:
        """Grow anew.

        Parameters
        ----------
        X : array_like of shape (n, k)
            Samples of at least two features.
        y : array_like of shape (n,)
            Labels of at least two classes.
        names : sequence of str, optional
            Of the features, for the formulas.

        Returns
        -------
        GMDHClassifier
            Itself.

        Raises
        ------
        TypeError, ValueError
            If the samples can't be used.
        """
        labels = np.asarray(y)
        if labels.shape != (len(np.asarray(X)),):
            raise ValueError(f"y has shape {labels.shape}; expected a label for each of {len(np.asarray(X))} samples")
        classes = np.unique(labels)
        if len(classes) < 2:
            raise ValueError(f"y has {len(classes)} class; expected at least 2")
        own = classes[1:] if len(classes) == 2 else classes
        self._fit(X, [(labels == label).astype(np.float64) for label in own], names)
        self.classes_ = classes
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Values of the polynomials.

        Parameters
        ----------
        X : array_like of shape (n, k)
            Samples.

        Returns
        -------
        ndarray of shape (n, classes)
            About 1 for the class of a sample, and 0 for others.

        Raises
        ------
        TypeError, ValueError
            If the samples can't be used.
        """
        samples = matrix(X, self.n_features_in_)
        values = np.column_stack([polynomial(samples) for polynomial in self.polynomials_])
        return np.column_stack([1 - values, values]) if values.shape[1] == 1 else values

    def predict(self, X: Any) -> np.ndarray:
        """Labels.

        Parameters
        ----------
        X : array_like of shape (n, k)
            Samples.

        Returns
        -------
        ndarray of shape (n,)
            The class whose polynomial is largest.

        Raises
        ------
        TypeError, ValueError
            If the samples can't be used.
        """
        return self.classes_[self.decision_function(X).argmax(axis=1)]

    def score(self, X: Any, y: Any) -> float:
        """Part of the samples that is labelled right.

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

    def formula(self) -> str:
        """The polynomials, to be read.

        Returns
        -------
        str
            For each class its name, and lines of assignments.
        """
        names = self.classes_[-len(self.polynomials_) :]
        return "\n\n".join(f"{label}:\n{p}" for label, p in zip(names, self.polynomials_, strict=True))
