"""What regressors share."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if

from numbanet.registry import get
from numbanet.sklearn import formulas
from numbanet.sklearn.base import Training
from numbanet.sklearn.classifier import stochastic
from numbanet.spec import Loss
from numbanet.targets import Targets


class Regressor(RegressorMixin, Training):
    """Base of regressors."""

    def _loss(self) -> Loss:
        if self.loss in ("squared_error", "poisson"):
            return formulas.LOSSES[self.loss].with_params(outputs=self.n_outputs_)
        return get("loss", self.loss)

    def _validate(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        X, y = self._arrays(X, y, y_numeric=True, reset=reset)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        if not reset and n_outputs != self.n_outputs_:
            raise ValueError(f"y has {n_outputs} columns; the model was fitted with {self.n_outputs_}")
        self.n_outputs_ = n_outputs
        return X, y

    def _encode(self, y: np.ndarray) -> np.ndarray:
        return y

    def _validation_score(self, outputs: np.ndarray, targets: Targets, weights: Any) -> float:
        """Coefficient of determination."""
        if not np.isfinite(outputs).all():
            return np.nan
        return float(r2_score(targets.values, outputs, sample_weight=weights))

    # -- methods ------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            Samples.
        y : array_like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array_like of shape (n_samples,), optional
            Weights of the samples, at least 0.
        validation_data : tuple of array_like, optional
            ``(X, y)`` or ``(X, y, sample_weight)`` for ``validation_curve_``; with ``early_stopping`` they take the
            place of the samples held out.

        Returns
        -------
        self
            The fitted estimator.
        """
        self._fit(X, y, sample_weight, validation_data=validation_data)
        return self

    @available_if(stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            Samples.
        y : array_like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array_like of shape (n_samples,), optional
            Weights of the samples, at least 0.

        Returns
        -------
        self
            The fitted estimator.
        """
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict targets.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions.
        """
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
