"""What classifiers share: labels, class weights, probabilities."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from numbanet.registry import get
from numbanet.sklearn import formulas
from numbanet.sklearn.base import Training
from numbanet.spec import Loss
from numbanet.targets import Targets

PROBABILITIES = ("logistic", "sigmoid", "softmax")


def stochastic(estimator: Any) -> bool:
    """Whether the estimator is trained epoch by epoch; raises an AttributeError otherwise."""
    if estimator.optimizer is None and estimator.solver not in ("sgd", "adam"):
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic."
        )
    return True


def probabilistic(estimator: Any) -> bool:
    """Whether outputs are probabilities; raises an AttributeError otherwise."""
    name = getattr(estimator, "out_activation_", None) or getattr(estimator, "out_activation", None)
    if name is None:
        name = "softmax" if estimator.loss == "log_loss" else get("loss", estimator.loss).link
    if getattr(name, "name", name) not in PROBABILITIES:
        raise AttributeError(f"the outputs are no probabilities with loss={estimator.loss!r}")
    return True


class Classifier(ClassifierMixin, Training):
    """Base of classifiers."""

    classes_: np.ndarray
    _label_binarizer: LabelBinarizer

    @property
    def _y_type(self) -> str:
        return self._label_binarizer.y_type_

    def _loss(self) -> Loss:
        if self.loss != "log_loss":
            return get("loss", self.loss)
        if self._y_type == "multiclass":
            return get("loss", "softmax_cross_entropy")
        return formulas.LOSSES["log_loss"].with_params(outputs=self.n_outputs_)

    # -- labels -------------------------------------------------------------------------

    def _initialize(self, random: np.random.RandomState) -> None:
        super()._initialize(random)
        if len(self.classes_) > 1:
            self.model_.classes = self.classes_.tolist()  # for its file

    def _validate(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        X, y = self._arrays(X, y, reset=reset)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            classes = unique_labels(y)
            if self.warm_start and set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes_}, `y` has {classes}"
                )
            self._check_known(classes)
        labels, one_of_two = self._y_type == "multilabel-indicator", self._takes_classes()
        if labels and one_of_two:
            raise ValueError(f"loss={self.loss!r} is for one class a sample, and y has several labels")
        several = labels or len(self.classes_) > 2
        self.n_outputs_ = len(self.classes_) if several else 1 + one_of_two
        return X, y

    def _held_out(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        X, y = self._arrays(X, y, reset=False)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._check_known(unique_labels(y))
        return X, y

    def _check_known(self, classes: np.ndarray) -> None:
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _takes_classes(self) -> bool:
        """Whether a loss of numbanet wants an output for each of two classes."""
        return self.loss != "log_loss" and get("loss", self.loss).targets == "classes"

    def _encode(self, y: np.ndarray) -> np.ndarray:
        """Indices of classes for losses on classes; otherwise 0 or 1 for each output."""
        if self._loss().targets == "classes":
            return np.searchsorted(self.classes_, y)
        return self._label_binarizer.transform(y)

    def _sample_weights(self, sample_weight: np.ndarray | None, y: np.ndarray) -> np.ndarray | None:
        if self.class_weight is None:
            return sample_weight
        weights = compute_sample_weight(self.class_weight, y).astype(self._dtype)
        return weights if sample_weight is None else weights * sample_weight

    def _stratified(self) -> bool:
        return self.n_outputs_ == 1

    def _threshold(self) -> float:
        """Output above which the answer is yes."""
        return 0.0 if self._loss().targets == "sign" else 0.5

    def _decide(self, outputs: np.ndarray) -> np.ndarray:
        """Index of each sample's class, or 0 or 1 for each label."""
        if self._y_type == "multiclass" or (outputs.shape[1] > 1 and self._y_type == "binary"):
            return outputs.argmax(axis=1)
        decided = (outputs > self._threshold()).astype(int)
        return decided if self._y_type == "multilabel-indicator" else decided[:, 0]

    def _validation_score(self, outputs: np.ndarray, targets: Targets, weights: Any) -> float:
        """Accuracy, of all labels at once where there are several."""
        if not np.isfinite(outputs).all():
            return np.nan
        decided = self._decide(outputs)
        wanted = targets.values > 0 if not targets.classes else targets.values
        if decided.ndim == 2:
            right = (decided == wanted).all(axis=1)
        else:
            right = decided == (wanted.argmax(axis=1) if wanted.shape[1] > 1 else wanted[:, 0])
        return float(np.average(right, weights=weights))

    # -- methods ------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            Samples.
        y : array_like of shape (n_samples,) or (n_samples, n_labels)
            Labels, or an indicator matrix.
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
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            Samples.
        y : array_like of shape (n_samples,) or (n_samples, n_labels)
            Labels, or an indicator matrix.
        sample_weight : array_like of shape (n_samples,), optional
            Weights of the samples, at least 0.
        classes : array_like of shape (n_classes,), optional
            All labels that there are; required in the first call.

        Returns
        -------
        self
            The fitted estimator.
        """
        if _check_partial_fit_first_call(self, classes):
            self._label_binarizer = LabelBinarizer()
            self._label_binarizer.fit(y if type_of_target(y).startswith("multilabel") else classes)
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict labels.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels, or an indicator matrix.
        """
        decided = self._decide(self._outputs(X))
        if decided.ndim == 2:
            return self._label_binarizer.inverse_transform(decided)
        return self.classes_.take(decided, mode="clip")

    @available_if(probabilistic)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict probabilities.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probability of each class in the order of ``classes_``, or of each label.
        """
        outputs = self._outputs(X)
        if outputs.shape[1] == 1:
            return np.hstack([1 - outputs, outputs])
        if self._y_type == "multiclass" and self.out_activation_ == "logistic":
            outputs /= outputs.sum(axis=1, keepdims=True)  # one against the rest
        return outputs

    @available_if(probabilistic)
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict logarithms of probabilities.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Logarithms of what `predict_proba` returns.
        """
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=probabilities)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = True
        return tags
