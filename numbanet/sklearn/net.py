"""Estimators of any layers."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from numbanet.callbacks import Callback
from numbanet.layers import Dense, Layer
from numbanet.model import Sequential
from numbanet.sklearn.base import Training, keep
from numbanet.sklearn.classifier import Classifier
from numbanet.sklearn.constraints import CLASS_WEIGHT, NUMBANET, SCIKIT_LEARN, Named
from numbanet.sklearn.regressor import Regressor
from numbanet.spec import Loss, Optimizer, Regularizer, Schedule

LAYERS: dict[str, list[Any]] = {
    "layers": [Sequential, list, tuple],
    "input_shape": [None, tuple, list],
    "add_output": ["boolean"],
}


class Layered(Training):
    """A network of given layers."""

    def _layers(self) -> list[Layer]:
        given = self.layers.layers if isinstance(self.layers, Sequential) else self.layers
        # a copy, as layers may keep what they are given
        return [*copy.deepcopy(list(given)), *([Dense(self.n_outputs_)] if self.add_output else [])]

    def _input_shape(self) -> tuple[int, ...]:
        shape = (self.n_features_in_,) if self.input_shape is None else tuple(self.input_shape)
        if np.prod(shape) != self.n_features_in_:
            raise ValueError(f"X has {self.n_features_in_} features; input_shape={shape} needs {np.prod(shape)}")
        return shape


class NetClassifier(Layered, Classifier):
    """Classifier of any layers.

    Parameters
    ----------
    layers : Sequential or sequence of Layer
        The network but for its output; it is copied, and its weights are drawn anew.
    input_shape : tuple of int, optional
        Shape of a sample, such as (height, width, channels), into which each row of ``X`` is brought.
    add_output : bool, default=True
        Whether a dense layer with a unit for each output is put behind ``layers``; otherwise they end with one.
    loss, class_weight : optional
        As in `MLPClassifier`.
    solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter, shuffle, random_state : optional
        As in `MLPClassifier`.
    tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction : optional
        As in `MLPClassifier`.
    beta_1, beta_2, epsilon, n_iter_no_change, max_fun : optional
        As in `MLPClassifier`.
    optimizer, schedule, regularizer, callbacks, device, dtype, n_threads : optional
        As in `MLPClassifier`.

    See Also
    --------
    MLPClassifier : Dense layers; says what the parameters and attributes mean.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LAYERS, **SCIKIT_LEARN, **NUMBANET, **CLASS_WEIGHT, "loss": [Named("loss", "log_loss")],
    }  # fmt: skip

    def __init__(
        self,
        layers: Sequential | Sequence[Layer] = (),
        input_shape: Sequence[int] | None = None,
        *,
        add_output: bool = True,
        loss: str | Loss = "log_loss",
        class_weight: Mapping[Any, float] | str | None = None,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        optimizer: str | Optimizer | None = None,
        schedule: str | Schedule | None = None,
        regularizer: str | Regularizer | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
        device: str = "cpu",
        dtype: str | None = None,
        n_threads: int | None = None,
    ) -> None:
        keep(self, locals())


class NetRegressor(Layered, Regressor):
    """Regressor of any layers.

    Parameters
    ----------
    layers : Sequential or sequence of Layer
        The network but for its output; it is copied, and its weights are drawn anew.
    input_shape : tuple of int, optional
        Shape of a sample, such as (height, width, channels), into which each row of ``X`` is brought.
    add_output : bool, default=True
        Whether a dense layer with a unit for each output is put behind ``layers``; otherwise they end with one.
    loss : str or Loss, default='squared_error'
        As in `MLPRegressor`.
    solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter, shuffle, random_state : optional
        As in `MLPRegressor`.
    tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction : optional
        As in `MLPRegressor`.
    beta_1, beta_2, epsilon, n_iter_no_change, max_fun : optional
        As in `MLPRegressor`.
    optimizer, schedule, regularizer, callbacks, device, dtype, n_threads : optional
        As in `MLPRegressor`.

    See Also
    --------
    MLPRegressor : Dense layers; says what the parameters and attributes mean.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LAYERS, **SCIKIT_LEARN, **NUMBANET, "loss": [Named("loss", "squared_error")],
    }  # fmt: skip

    def __init__(
        self,
        layers: Sequential | Sequence[Layer] = (),
        input_shape: Sequence[int] | None = None,
        *,
        add_output: bool = True,
        loss: str | Loss = "squared_error",
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        optimizer: str | Optimizer | None = None,
        schedule: str | Schedule | None = None,
        regularizer: str | Regularizer | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
        device: str = "cpu",
        dtype: str | None = None,
        n_threads: int | None = None,
    ) -> None:
        keep(self, locals())
