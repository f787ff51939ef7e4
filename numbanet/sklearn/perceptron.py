"""Rosenblatt's perceptron."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import _check_partial_fit_first_call

from numbanet.builtins import L1, L2, SGD, ElasticNet
from numbanet.layers import Dense, Layer
from numbanet.sklearn import formulas
from numbanet.sklearn.base import keep
from numbanet.sklearn.classifier import Classifier
from numbanet.sklearn.constraints import CLASS_WEIGHT, SCIKIT_LEARN
from numbanet.sklearn.solvers import CheckedTrainer
from numbanet.spec import Loss, Optimizer, Regularizer
from numbanet.targets import Targets

COMMON = ("alpha", "shuffle", "random_state", "verbose", "warm_start", "early_stopping")


class Perceptron(Classifier):
    """Rosenblatt's perceptron, with the interface of `sklearn.linear_model.Perceptron`.

    A sample on the wrong side changes the weights by itself times ``eta0``, one sample after the other. With more
    than two classes there is a unit for each, against the rest.

    Parameters
    ----------
    penalty : {'l2', 'l1', 'elasticnet'}, optional
        Penalty of the weights.
    alpha : float, default=0.0001
        Its strength.
    l1_ratio : float, default=0.15
        Part of the l1 penalty in 'elasticnet'.
    fit_intercept : bool, default=True
        Whether there is a bias.
    max_iter : int, default=1000
        Epochs at most.
    tol : float or None, default=1e-3
        What the mean loss of an epoch must improve by; with None training does not stop before ``max_iter``.
    shuffle : bool, default=True
        Whether each epoch visits the samples in a new order.
    verbose : int, default=0
        Whether each epoch prints its loss.
    eta0 : float, default=1
        Size of a correction.
    n_jobs : int, optional
        Without effect: a step of one sample has one thread.
    random_state : int, RandomState or None, default=0
        Decides the order and the samples held out.
    early_stopping : bool, default=False
        Whether samples are held out, and the weights kept that score best on them.
    validation_fraction : float, default=0.1
        Part of the samples held out.
    n_iter_no_change : int, default=5
        Epochs without improvement after which training stops.
    class_weight : dict or 'balanced', optional
        Weight of each class, by which weights of samples are multiplied.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last call.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Biases.
    n_iter_, t_ : int
        Epochs, and updates counted from 1.
    loss_curve_ : list of float
        Mean loss of each epoch, without penalty.

    Notes
    -----
    With more than two classes scikit-learn trains and stops the units one by one; here they learn together. Its early
    stopping keeps the last weights rather than the best, and its l1 penalty is truncated at 0. Rosenblatt, The
    perceptron (1958).
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **{name: SCIKIT_LEARN[name] for name in COMMON},
        **CLASS_WEIGHT,
        "penalty": [StrOptions({"l2", "l1", "elasticnet"}), None],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "fit_intercept": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "eta0": [Interval(Real, 0, None, closed="neither")],
        "n_jobs": [None, Integral],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    }
    # what the parameters of other estimators are here
    loss, out_activation, solver, learning_rate, batch_size = "perceptron", "identity", "sgd", "constant", 1
    optimizer = callbacks = dtype = None
    n_threads, device = 1, "cpu"

    def __init__(
        self,
        *,
        penalty: str | None = None,
        alpha: float = 0.0001,
        l1_ratio: float = 0.15,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        shuffle: bool = True,
        verbose: int = 0,
        eta0: float = 1.0,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: Mapping[Any, float] | str | None = None,
        warm_start: bool = False,
    ) -> None:
        keep(self, locals())

    # -- the parts of the objective -----------------------------------------------------

    def _layers(self) -> list[Layer]:
        return [Dense(self.n_outputs_, use_bias=self.fit_intercept, kernel_initializer="zeros")]

    def _takes_classes(self) -> bool:
        return False

    def _threshold(self) -> float:
        return 0.0

    def _loss(self) -> Loss:
        return formulas.LOSSES["perceptron"].with_params(outputs=self.n_outputs_)

    def _optimizer(self) -> Optimizer:
        return SGD(self.eta0)

    def _regularizer(self) -> Regularizer | None:
        return {
            None: None, "l1": L1(self.alpha), "l2": L2(self.alpha), "elasticnet": ElasticNet(self.alpha, self.l1_ratio)
        }[self.penalty]  # fmt: skip

    def _new_trainer(self, optimizer: Optimizer, seed: int) -> CheckedTrainer:
        trainer = super()._new_trainer(optimizer, seed)
        trainer.penalized = False  # a batch of one is not divided, and the loss is told without penalty
        return trainer

    def _patience(self) -> float:
        return self.n_iter_no_change - 1

    def _tolerance(self) -> float:
        return -math.inf if self.tol is None else self.tol

    # -- data ---------------------------------------------------------------------------

    def _arrays(self, X: Any, y: Any, **options: Any) -> tuple[np.ndarray, Any]:
        return super()._arrays(X, y, multi_output=False, **options)

    def _validate(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        X, y = super()._validate(X, y, incremental, reset)
        if len(self.classes_) < 2:
            raise ValueError("The number of classes has to be greater than one; got 1 class")
        return X, y

    def _weighted(self, targets: Targets, weights: np.ndarray | None) -> tuple[Targets, None]:
        """Signs times weights: the mean over a batch of one does not know its weight."""
        signs = 2 * targets.values - 1
        values = signs if weights is None else signs * weights[:, np.newaxis]
        return Targets(values.astype(targets.values.dtype), False, targets.kind, targets.outputs), None

    def _stratified(self) -> bool:
        return True

    def _validation_score(self, outputs: np.ndarray, targets: Targets, weights: Any) -> float:
        return super()._validation_score(outputs, targets, np.abs(targets.values[:, 0]))

    def _initialize(self, random: np.random.RandomState) -> None:
        super()._initialize(random)
        self.t_ = 1

    # -- methods ------------------------------------------------------------------------

    @property
    def coef_(self) -> np.ndarray:
        """Weights of each unit.

        Returns
        -------
        ndarray of shape (1, n_features) or (n_classes, n_features)
            A view; changing it changes the model.
        """
        return self.coefs_[0].T

    @property
    def intercept_(self) -> np.ndarray:
        """Bias of each unit.

        Returns
        -------
        ndarray of shape (1,) or (n_classes,)
            A view where there is a bias, otherwise zeros.
        """
        return self.intercepts_[0] if self.intercepts_ else np.zeros(self.n_outputs_)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, coef_init: Any = None, intercept_init: Any = None, sample_weight: Any = None
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            Samples.
        y : array_like of shape (n_samples,)
            Labels.
        coef_init : array_like, optional
            First weights, of the shape of ``coef_``; otherwise 0.
        intercept_init : array_like, optional
            First biases, of the shape of ``intercept_``; otherwise 0.
        sample_weight : array_like of shape (n_samples,), optional
            Factors of the corrections.

        Returns
        -------
        self
            The fitted estimator.
        """
        self._start = coef_init, intercept_init
        try:
            self._fit(X, y, sample_weight)
        finally:
            del self._start
        return self

    def _first_weights(self, random: np.random.RandomState) -> None:
        super()._first_weights(random)
        for p, value in zip(self.model_.graph.parameters, getattr(self, "_start", ()), strict=False):
            if value is not None:
                if np.size(value) != p.size:
                    raise ValueError(f"{p.name} needs {p.size} first values, got an array of shape {np.shape(value)}")
                self.model_.parameters[p.offset : p.end] = np.reshape(value, p.shape[::-1]).T.ravel()

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            Samples.
        y : array_like of shape (n_samples,)
            Labels.
        classes : array_like of shape (n_classes,), optional
            All labels that there are; required in the first call.
        sample_weight : array_like of shape (n_samples,), optional
            Factors of the corrections.

        Returns
        -------
        self
            The fitted estimator.
        """
        if _check_partial_fit_first_call(self, classes):
            self._label_binarizer = LabelBinarizer().fit(classes)
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Outputs of the units.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Positive for the second of two classes.
        """
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = False
        return tags
