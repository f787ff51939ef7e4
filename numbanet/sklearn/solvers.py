"""What trains an estimator: numbanet's trainer with scikit-learn's rules of stopping, or SciPy's L-BFGS-B."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.optimize import _check_optimize_result

from numbanet.callbacks import Callback, Logs
from numbanet.sklearn.watching import Watched
from numbanet.targets import Targets
from numbanet.trainer import Trainer

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)
Samples = tuple[np.ndarray, Targets, np.ndarray | None]


class CheckedTrainer(Trainer):
    """A trainer that takes samples which scikit-learn has checked, and divides penalties as scikit-learn does."""

    penalized = True

    def _training_data(self, X: Any, y: Any, sample_weight: Any, class_weight: Any) -> Any:
        if isinstance(y, Targets):
            return X, y, sample_weight, self.model.graph
        return super()._training_data(X, y, sample_weight, class_weight)

    def _samples(self, X: Any, y: Any, sample_weight: Any, graph: Any, kind: str = "") -> Any:
        if isinstance(y, Targets):
            return X, y, sample_weight
        return super()._samples(X, y, sample_weight, graph, kind)

    def go_on_from(self, other: CheckedTrainer, classes: bool) -> None:
        """Take over what another trainer's optimiser remembers."""
        self._prepare(self.model.graph, classes)
        self._engine.states, self._engine.steps_since_reset = other._engine.memory()
        self._engine.steps_done, self._factor, self.epochs_done = other._step(), other._factor, other.epochs_done

    def minimize(
        self, data: Samples, max_iter: int, max_fun: int, tol: float, verbose: bool, told: Watched | None
    ) -> tuple[float, int]:
        """Find the least loss by L-BFGS-B; returns it, and the iterations."""
        X, y, weights = data
        self._prepare(self.model.graph, y.classes)
        iteration = 0

        def loss_and_gradient(params: np.ndarray) -> tuple[float, np.ndarray]:
            at = params.astype(self.dtype, copy=False)
            loss, gradient = self._engine.gradient(at, X, y.values, weights, classes=y.classes, penalized=True)
            return loss, gradient.astype(float, copy=False)

        def tell(intermediate_result: Any) -> None:
            nonlocal iteration
            iteration += 1
            if verbose:
                print(f"Iteration {iteration}, loss = {intermediate_result.fun:.8f}")
            if told is not None:
                told.begin("lbfgs-iter")
                self.model.parameters[:] = intermediate_result.x
                if told.end():
                    raise StopIteration

        found = minimize(
            loss_and_gradient, self.model.parameters.astype(float), method="L-BFGS-B", jac=True,
            callback=tell if verbose or told else None, options={"maxfun": max_fun, "maxiter": max_iter, "gtol": tol},
        )  # fmt: skip
        self.model.parameters[:] = found.x
        return float(found.fun), int(_check_optimize_result("lbfgs", found, max_iter))


class Progress(Callback):
    """Keeps an estimator's books, and stops it when neither loss nor validation score gets better.

    Parameters
    ----------
    estimator : object
        Has scikit-learn's parameters and attributes.
    score : callable or None
        Score on the samples held out, by which it goes rather than by the loss.
    learning_rate : str
        "constant", "invscaling" or "adaptive".
    incremental : bool
        Whether this is one epoch of many that are called for one by one.
    """

    def __init__(
        self, estimator: Any, score: Callable[[], float] | None, learning_rate: str, incremental: bool
    ) -> None:
        self.estimator, self.score = estimator, score
        self.learning_rate, self.incremental = learning_rate, incremental
        self.stopped = False

    def epochs_ahead(self, trainer: Any) -> int:
        """Until the loss can have failed to improve often enough."""
        own = self.estimator
        if self.score is not None or own.verbose or self.learning_rate == "invscaling":
            return 1
        ahead = own._patience() + 1 - own._no_improvement_count
        return max(1, trainer.epochs if ahead == math.inf else int(ahead))

    def on_epoch_end(self, trainer: Any, epoch: int, logs: Logs) -> None:
        """Judge the epoch."""
        own = self.estimator
        own.n_iter_ += 1
        own.t_ += trainer.samples
        own.loss_ = logs["loss"]
        own.loss_curve_.append(own.loss_)
        if "val_loss" in logs:
            own.validation_curve_.append(logs["val_loss"])
        if own.verbose:
            print(f"Iteration {own.n_iter_}, loss = {own.loss_:.8f}")
        self._judge(own)
        if self.learning_rate == "invscaling":
            trainer.learning_rate = own.learning_rate_init / (own.t_ + 1) ** own.power_t
        if own._no_improvement_count > own._patience():
            self._give_up(own, trainer)
        hopes = own._tolerance() > -math.inf and not self.stopped and not self.incremental
        if hopes and own.n_iter_ == own.max_iter:
            self._warn(f"Maximum iterations ({own.max_iter}) reached and the optimization hasn't converged yet.")

    def diverged(self) -> None:
        """Note an epoch whose loss was not finite, where the best weights are known."""
        own = self.estimator
        own.n_iter_ += 1
        own.loss_ = math.nan
        own.loss_curve_.append(math.nan)
        own.validation_scores_.append(math.nan)
        self._warn(f"The loss is not finite in iteration {own.n_iter_}; the best weights so far are kept.")

    def _warn(self, message: str) -> None:
        warnings.warn(f"Stochastic Optimizer: {message}", ConvergenceWarning, stacklevel=2)

    def _judge(self, own: Any) -> None:
        tol = own._tolerance()
        if self.score is None:
            better = not own.loss_ > own.best_loss_ - tol
            own.best_loss_ = min(own.best_loss_, own.loss_)
        else:
            score = self.score()
            own.validation_scores_.append(score)
            if own.verbose:
                print(f"Validation score: {score:f}")
            better = not score < own.best_validation_score_ + tol
            if score > own.best_validation_score_:
                own.best_validation_score_ = score
                own._best_parameters = own.model_.parameters.copy()
        own._no_improvement_count = 0 if better else own._no_improvement_count + 1

    def _give_up(self, own: Any, trainer: Any) -> None:
        """Stop, or go on with a smaller learning rate."""
        what = "Training loss" if self.score is None else "Validation score"
        message = (
            f"{what} did not improve more than tol={own.tol:f} for {own.n_iter_no_change} consecutive epochs."
        )
        if self.learning_rate == "adaptive" and trainer.learning_rate > 1e-6:
            trainer.learning_rate /= 5
            own._no_improvement_count = 0
            message += f" Setting learning rate to {trainer.learning_rate:f}"
        else:
            message += " Learning rate too small. Stopping." if self.learning_rate == "adaptive" else " Stopping."
            self.stopped = trainer.stop_training = True
        if own.verbose:
            print(message)
