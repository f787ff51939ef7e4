"""What all estimators share: how they are trained."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, validate_data

from numbanet.builtins import L2
from numbanet.callbacks import Callback
from numbanet.model import Sequential
from numbanet.registry import get
from numbanet.sklearn import formulas
from numbanet.sklearn.prediction import Predicting
from numbanet.sklearn.solvers import NOT_FINITE, CheckedTrainer, Progress, Samples
from numbanet.sklearn.threads import thread_limit
from numbanet.sklearn.watching import CallbackSupportMixin, Watched, watched, with_callbacks
from numbanet.spec import Optimizer, Regularizer
from numbanet.targets import Targets, as_targets


def keep(estimator: Any, arguments: dict[str, Any]) -> None:
    """Set the parameters of an estimator from the local variables of its ``__init__``."""
    for name, value in arguments.items():
        if value is not estimator:
            setattr(estimator, name, value)


def random_seed(random: np.random.RandomState) -> int:
    """Seed of numbanet's own generators."""
    return int(random.randint(np.iinfo(np.int32).max))


NAMES = {"sigmoid": "logistic", "exponential": "exp"}  # scikit-learn's names of activations


class Training(CallbackSupportMixin, Predicting):
    """Base of classifiers and regressors."""

    n_outputs_: int
    n_iter_: int
    loss_: float
    _trainer: CheckedTrainer
    _dtype: Any
    __sklearn_tags__: Any

    # -- what subclasses say ------------------------------------------------------------

    def _layers(self) -> Sequence[Any]:
        """Layers of a new model, the last of which has ``n_outputs_`` units."""
        raise NotImplementedError

    def _validate(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        """Samples and targets, checked; sets ``n_outputs_``."""
        raise NotImplementedError

    def _held_out(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Samples and targets for validation, checked."""
        return self._validate(X, y, True, False)

    def _encode(self, y: np.ndarray) -> np.ndarray:
        """Targets as numbers."""
        raise NotImplementedError

    def _validation_score(self, outputs: np.ndarray, targets: Targets, weights: Any) -> float:
        """Score of outputs on the samples held out."""
        raise NotImplementedError

    def _check_layers(self) -> None:
        """What can be said of the layers before the data are seen."""

    def _sample_weights(self, sample_weight: np.ndarray | None, y: np.ndarray) -> np.ndarray | None:
        return sample_weight

    def _weighted(self, targets: Targets, weights: np.ndarray | None) -> tuple[Targets, np.ndarray | None]:
        """Targets and weights as the loss takes them."""
        return targets, weights

    def _patience(self) -> float:
        """Epochs in a row that may fail to improve."""
        return self.n_iter_no_change

    def _tolerance(self) -> float:
        """What an epoch must improve by."""
        return self.tol

    def _input_shape(self) -> tuple[int, ...]:
        return (self.n_features_in_,)

    def _stratified(self) -> bool:
        return False

    # -- training -----------------------------------------------------------------------

    @with_callbacks
    def _fit(
        self, X: Any, y: Any, sample_weight: Any, *, incremental: bool = False, validation_data: Any = None
    ) -> None:
        first = "model_" not in self.__dict__ or (not self.warm_start and not incremental)
        stochastic = self.optimizer is not None or self.solver != "lbfgs"
        if stochastic and incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if not stochastic and (validation_data is not None or self.callbacks):
            raise ValueError("solver='lbfgs' has no epochs: it takes neither validation_data nor callbacks")
        self._check_layers()
        if first:
            self._dtype = self.dtype or (None if stochastic else "float64")
        else:
            self._take_weights()
        X, y = self._validate(X, y, incremental, first)
        self._dtype = str(X.dtype)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        weights = self._sample_weights(sample_weight, y)
        targets, weights = self._weighted(self._targets(y), weights)
        random = check_random_state(self.random_state)
        if first:
            self._initialize(random)
            if stochastic:
                self._new_books()
        told = None
        if not incremental:
            told = watched(self, {"X": X, "y": y, "metadata": {"sample_weight": sample_weight}}, self.max_iter)
        X = self._shaped(X)
        if stochastic:
            validation = None if validation_data is None else self._validation(validation_data)
            self._fit_stochastic((X, targets, weights), random, incremental, validation, told)
        else:
            self._fit_lbfgs((X, targets, weights), told)
        if told is not None:
            told.close()
        if not np.isfinite(self.model_.parameters).all():
            raise ValueError(NOT_FINITE)

    def _arrays(self, X: Any, y: Any, **options: Any) -> tuple[np.ndarray, Any]:
        """Samples and targets that scikit-learn has checked, the samples dense and of the working type."""
        dtype = (np.float64, np.float32) if self._dtype is None else self._dtype
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], dtype=dtype, order="C", **{"multi_output": True, **options}
        )
        return np.ascontiguousarray(X.toarray() if hasattr(X, "toarray") else X), y

    def _targets(self, y: np.ndarray) -> Targets:
        values = self._encode(y)
        return as_targets(values, self._loss(), outputs=self.n_outputs_, n=len(values), dtype=self._dtype)

    def _validation(self, data: Any) -> Samples:
        """Samples given for validation, as kernels take them."""
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
            raise TypeError("validation_data must be (X, y) or (X, y, sample_weight)")
        X, y = self._held_out(data[0], data[1])
        weights = None if len(data) == 2 else _check_sample_weight(data[2], X, dtype=X.dtype, ensure_non_negative=True)
        return self._shaped(X), *self._weighted(self._targets(y), weights)

    def _initialize(self, random: np.random.RandomState) -> None:
        """A model with its first weights."""
        self.__dict__.pop("_trainer", None)
        self.n_iter_ = self.t_ = 0
        self.model_ = Sequential(self._layers())
        self._first_weights(random)
        size = self.model_.graph.output.shape
        if size != (self.n_outputs_,):
            raise ValueError(f"the last layer's output has shape {size}; the targets need ({self.n_outputs_},)")
        self._view_weights()
        self.n_layers_ = len(self.coefs_) + 1
        self.out_activation_ = self._out_activation()
        self._best_parameters = self.model_.parameters.copy()

    def _out_activation(self) -> str:
        """scikit-learn's name of what stands before predictions: the loss's link, or what ends the network."""
        link, last = self._loss().link, self.model_.graph.nodes[-1]
        name = last.activation.name if link == "identity" and last.activation is not None else link
        return NAMES.get(name, name)

    def _first_weights(self, random: np.random.RandomState) -> None:
        self.model_.build(self._input_shape(), dtype=self._dtype, seed=random_seed(random))

    def _new_books(self) -> None:
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None

    # -- the parts of the objective -----------------------------------------------------

    def _optimizer(self) -> Optimizer:
        if isinstance(self.optimizer, str):
            optimizer = get("optimizer", self.optimizer, learning_rate=self.learning_rate_init)
        elif self.optimizer is not None:
            optimizer = self.optimizer
        elif self.solver == "sgd":
            optimizer = formulas.SGD(self.learning_rate_init, self.momentum, self.nesterovs_momentum)
        else:
            optimizer = formulas.Adam(self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)
        return optimizer if self.schedule is None else replace(optimizer, schedule=self.schedule)

    def _regularizer(self) -> Regularizer | None:
        return L2(self.alpha) if self.regularizer is None else get("regularizer", self.regularizer)

    def _rate_course(self) -> str:
        """How the learning rate changes from epoch to epoch."""
        return self.learning_rate if self.optimizer is None and self.solver == "sgd" else "constant"

    def _new_trainer(self, optimizer: Optimizer, seed: int) -> CheckedTrainer:
        return CheckedTrainer(
            self.model_, self._loss(), optimizer, regularizer=self._regularizer(), dtype=self._dtype,
            threads=thread_limit(self.n_threads), seed=seed, device=self.device,
        )  # fmt: skip

    # -- solvers ------------------------------------------------------------------------

    def _fit_stochastic(
        self, data: Samples, random: np.random.RandomState, incremental: bool, validation: Samples | None,
        told: Watched | None,
    ) -> None:
        held_out = validation
        if self.early_stopping and validation is None:
            data, held_out = self._split(data, random)
        X, targets, weights = data
        batch_size = self.batch_size
        if batch_size == "auto":
            batch_size = min(200, len(X))
        elif batch_size > len(X):
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=5
            )
            batch_size = len(X)
        before = self.__dict__.get("_trainer") if incremental else None
        if before is None:
            self._trainer = self._new_trainer(self._optimizer(), random_seed(random))
        elif before.regularizer != self._regularizer():
            self._trainer = self._new_trainer(before.optimizer, before.seed)
            self._trainer.go_on_from(before, targets.classes)
        score = None
        if self.early_stopping and held_out is not None:
            X_held, targets_held, weights_held = held_out
            score = lambda: self._validation_score(self._checked_outputs(X_held), targets_held, weights_held)
        if validation is not None:
            self.validation_curve_: list[float] = []
        self.n_iter_ = 0
        progress = Progress(self, score, self._rate_course(), incremental)
        further = [self.callbacks] if isinstance(self.callbacks, Callback) else list(self.callbacks or ())
        if told is not None:
            further.append(told)
        try:
            self._trainer.fit(
                X, targets, sample_weight=weights, epochs=1 if incremental else self.max_iter, batch_size=batch_size,
                validation_data=validation, callbacks=[progress, *further], progress=False, shuffle=self.shuffle,
            )  # fmt: skip
        except FloatingPointError as error:
            if score is None:
                raise ValueError(NOT_FINITE) from error
            progress.diverged()
        if self._trainer.interrupted:
            warnings.warn("Training interrupted by user.", stacklevel=5)
        if score is not None:
            self.model_.parameters[:] = self._best_parameters

    def _split(self, data: Samples, random: np.random.RandomState) -> tuple[Samples, Samples]:
        """Training samples, and those held out, as scikit-learn draws them."""
        X, targets, weights = data
        train, held = train_test_split(
            np.arange(len(X)), random_state=random, test_size=self.validation_fraction,
            stratify=targets.values > 0 if self._stratified() else None,
        )  # fmt: skip
        if len(held) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )

        def part(rows: np.ndarray) -> Samples:
            return X[rows], replace(targets, values=targets.values[rows]), None if weights is None else weights[rows]

        return part(train), part(held)

    def _fit_lbfgs(self, data: Samples, told: Watched | None) -> None:
        chance = {"dropout", "gaussian_noise", "batch_normalize"} & {node.kind for node in self.model_.graph.nodes}
        if chance:
            raise ValueError(f"solver='lbfgs' needs a loss without {' and '.join(sorted(chance))}")
        self.__dict__.pop("_trainer", None)
        trainer = self._new_trainer(formulas.SGD(0.0, 0.0, False), 0)
        self.loss_, self.n_iter_ = trainer.minimize(
            data, self.max_iter, self.max_fun, self.tol, self.verbose is True or self.verbose >= 1, told
        )
