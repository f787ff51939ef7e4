"""What parameters may be, in the form in which scikit-learn checks them."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

from numbanet.callbacks import Callback
from numbanet.device import CUDA, NAMES
from numbanet.registry import KINDS, get


class Named(Options):
    """The name of a plugin of a kind, or an object of its class."""

    def __init__(self, kind: str, *further: str) -> None:
        super().__init__(str, set())
        self.kind, self.further = kind, further

    def is_satisfied_by(self, value: Any) -> bool:
        """Whether it is known."""
        if isinstance(value, str) and value in self.further:
            return True
        try:
            get(self.kind, value)
        except (TypeError, ValueError):
            return False
        return True

    def __str__(self) -> str:
        also = "".join(f"{name!r}, " for name in self.further)
        return f"{also}the name of a numbanet {self.kind} or a numbanet.{KINDS[self.kind].__name__}"


SCIKIT_LEARN: dict[str, list[Any]] = {
    "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
}
NUMBANET: dict[str, list[Any]] = {
    "optimizer": [None, Named("optimizer")],
    "schedule": [None, Named("schedule")],
    "regularizer": [None, Named("regularizer")],
    "callbacks": [None, Callback, list, tuple],
    "device": [StrOptions(set(NAMES)), CUDA],
    "dtype": [None, StrOptions({"float32", "float64"})],
    "n_threads": [None, Interval(Integral, 1, None, closed="left")],
}
HIDDEN: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [Named("activation", "logistic"), "array-like"],
    "out_activation": [None, Named("activation", "logistic")],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
    "batch_norm": ["boolean"],
}
CLASS_WEIGHT: dict[str, list[Any]] = {"class_weight": [dict, StrOptions({"balanced"}), None]}
