"""A fitted network within an estimator: its weights under scikit-learn's names, its outputs, its copies."""

from __future__ import annotations

from operator import is_
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from numbanet.backend import new_jacobian, new_predictor
from numbanet.data import as_samples
from numbanet.layers.base import activate
from numbanet.model import Sequential
from numbanet.registry import get
from numbanet.spec import Loss

DENSE_ROWS = 4096  # of a sparse matrix that are made dense at a time


class Predicting(BaseEstimator):
    """Base of estimators with a model."""

    model_: Sequential
    n_features_in_: int
    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]
    _views: tuple[np.ndarray, ...]
    _predictor: Any
    _jacobian: Any
    _graph: Any

    def _loss(self) -> Loss:
        raise NotImplementedError

    # -- weights ------------------------------------------------------------------------

    def _view_weights(self) -> None:
        """Let ``coefs_`` and ``intercepts_`` be views of the model's parameters; compile the way forward."""
        flat = self.model_.parameters
        roles: dict[str, list[np.ndarray]] = {"kernel": [], "bias": []}
        for p in self.model_.graph.parameters:
            if p.role in roles:
                roles[p.role].append(flat[p.offset : p.end].reshape(p.shape))
        self.coefs_, self.intercepts_ = roles.values()
        self._views = (*self.coefs_, *self.intercepts_)
        graph = self.model_.describe(self.model_.graph.input.shape)
        activate(graph, get("activation", self._loss().link))
        self._graph, self._predictor, self._jacobian = graph, new_predictor(graph, self.model_.dtype), None

    def _take_weights(self) -> None:
        """Take over arrays that the user has put into ``coefs_`` or ``intercepts_``."""
        given, views = (*self.coefs_, *self.intercepts_), self._views
        if len(given) == len(views) and all(map(is_, given, views)):
            return
        shapes = [np.shape(array) for array in given]
        if shapes != [view.shape for view in views]:
            raise ValueError(f"coefs_ and intercepts_ hold arrays of shapes {shapes}; the model has others")
        for view, array in zip(views, given, strict=True):
            view[...] = array
        kernels = len(self.coefs_)
        self.coefs_, self.intercepts_ = list(views[:kernels]), list(views[kernels:])

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "model_" in state:
            self._take_weights()
            # views of the model, and addresses
            for name in ("coefs_", "intercepts_", "_views", "_graph", "_predictor", "_jacobian"):
                del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "model_" in state:
            self._view_weights()

    # -- outputs ------------------------------------------------------------------------

    def _outputs(self, X: Any) -> np.ndarray:
        """Predictions of the network for samples that have not been checked."""
        state = self.__dict__
        if "model_" not in state:
            check_is_fitted(self)
        self._take_weights()
        predictor = self._predictor
        # what the kernel can take as it is goes straight there, and is checked for NaN there
        if (
            type(X) is np.ndarray
            and X.dtype is predictor.type
            and X.ndim == 2
            and X.shape[1] == self.n_features_in_
            and X.flags.c_contiguous
            and X.flags.aligned
            and len(X)
            and "feature_names_in_" not in state
            and not self.model_.graph.vocabulary
        ):
            outputs = predictor(self.model_.parameters, X.reshape(-1, *predictor.input_shape))
            if outputs is not None:
                return outputs
        X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=predictor.type, order="C", reset=False)
        if not hasattr(X, "tocsr"):
            return self._checked_outputs(np.ascontiguousarray(X))
        rows = X.tocsr()
        parts = range(0, rows.shape[0], DENSE_ROWS)
        return np.concatenate([self._checked_outputs(rows[i : i + DENSE_ROWS].toarray()) for i in parts])

    def gradient(self, X: Any) -> np.ndarray:
        """Derivatives of the outputs, such as probabilities, with respect to the features.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs, n_features)
            Without noise; with two classes there is one output, the probability of the second.
        """
        check_is_fitted(self)
        self._take_weights()
        X = validate_data(self, X, dtype=self._predictor.type, order="C", reset=False)
        if self._jacobian is None:
            self._jacobian = new_jacobian(self._graph, self.model_.dtype)
        slopes = self._jacobian(self.model_.parameters, self._shaped(X))
        return slopes.reshape(len(X), -1, self.n_features_in_)

    def _shaped(self, X: np.ndarray) -> np.ndarray:
        """Checked samples in the shape that the network takes; indices are checked here."""
        graph = self.model_.graph
        samples = X.reshape(-1, *graph.input.shape)
        return as_samples(samples, graph, self.model_.dtype) if graph.vocabulary else samples

    def _checked_outputs(self, X: np.ndarray) -> np.ndarray:
        """Predictions of the network for samples as kernels take them."""
        outputs = self._predictor(self.model_.parameters, self._shaped(X))
        if outputs is None:  # only where scikit-learn is told to assume that all is finite
            raise ValueError("X holds NaN or infinity")
        return outputs
