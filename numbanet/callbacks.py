"""What runs between epochs: early stopping, learning rates, checkpoints.

The trainer calls `Callback.on_train_begin` once, `on_epoch_end` after every epoch, and `on_train_end` in every case:
also where training stops early, by Ctrl-C or by an error.
"""

from __future__ import annotations

import difflib
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from numbanet.checks import nonnegative_float, nonnegative_int, positive_int

Logs = Mapping[str, float]


class Callback:
    """Base of all callbacks; override what is needed.

    A callback may read ``trainer.model``, ``history``, ``metrics``, ``epochs`` (planned in this fit), ``epochs_done``,
    ``log_names`` (what every epoch will log, in order) and ``samples`` (trained on in an epoch), and may set
    ``trainer.learning_rate`` and ``trainer.stop_training``.

    Attributes
    ----------
    last : bool
        Whether it is called behind those that are not.
    remembered : tuple of str
        Attributes that a checkpoint keeps: numbers, None, or lists of arrays.
    """

    last = False
    remembered: tuple[str, ...] = ()

    def on_train_begin(self, trainer: Any) -> None:
        """Called before the first epoch.

        Parameters
        ----------
        trainer : Trainer
            The trainer.
        """

    def epochs_ahead(self, trainer: Any) -> int:
        """Epochs that may run in one compiled call, as nothing is decided before the last of them has ended.

        `on_epoch_end` is then called for each of them, behind the call.

        Parameters
        ----------
        trainer : Trainer
            The trainer.

        Returns
        -------
        int
            At least 1, which it is by default.
        """
        return 1

    def on_epoch_end(self, trainer: Any, epoch: int, logs: Logs) -> None:
        """Called after every epoch.

        Parameters
        ----------
        trainer : Trainer
            The trainer.
        epoch : int
            Counted from 1, going on where `fit` is called again.
        logs : mapping of str to float
            This epoch's ``loss``, ``val_loss``, metrics and the like.
        """

    def on_train_end(self, trainer: Any) -> None:
        """Called when training ends, in whatever way.

        Parameters
        ----------
        trainer : Trainer
            The trainer.
        """


class LambdaCallback(Callback):
    """Callback made of functions.

    Parameters
    ----------
    on_epoch_end : callable, optional
        ``on_epoch_end(trainer, epoch, logs)``.
    on_train_begin, on_train_end : callable, optional
        Of the trainer alone.

    Raises
    ------
    TypeError
        If one isn't callable.
    """

    def __init__(self, on_epoch_end: Callable[[Any, int, Logs], Any] | None = None,
                 on_train_begin: Callable[[Any], Any] | None = None,
                 on_train_end: Callable[[Any], Any] | None = None) -> None:
        hooks = {"on_epoch_end": on_epoch_end, "on_train_begin": on_train_begin, "on_train_end": on_train_end}
        for name, function in hooks.items():
            if function is None:
                continue
            if not callable(function):
                raise TypeError(f"{name} must be a function, got {function!r}")
            setattr(self, name, function)


class _Monitor(Callback):
    """Follows one logged quantity and knows when it is at its best."""

    def __init__(self, monitor: str | None, mode: str, min_delta: float) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max', got {mode!r}")
        if monitor is not None and not isinstance(monitor, str):
            raise TypeError(f"monitor must be the name of a logged quantity, 'auto' or None, got {monitor!r}")
        self.monitor = monitor
        self.mode = mode
        self.min_delta = nonnegative_float("min_delta", min_delta)
        self.best = math.nan
        self.best_epoch: int | None = None

    def on_train_begin(self, trainer: Any) -> None:
        names = list(trainer.log_names)
        name = self.monitor
        if name is None or name == "auto":
            name = "val_loss" if "val_loss" in names else "loss"
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            hint = f": did you mean '{close[0]}'?" if close else ""
            if name.startswith("val_") and name[4:] in names:
                hint = f": pass validation_data to fit, or monitor '{name[4:]}'"
            raise ValueError(f"monitor '{name}' is not logged (logged: {', '.join(names)}){hint}")
        self._name = name
        self._sign = -1 if self._greater_is_better(trainer) else 1
        self.best, self.best_epoch = math.inf * self._sign, None

    def _greater_is_better(self, trainer: Any) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        base = self._name.removeprefix("val_")
        for metric in trainer.metrics:
            if metric.name == base:
                return bool(metric.greater_is_better)
        if base.endswith(("loss", "error")):
            return False
        raise ValueError(f"whether a greater '{self._name}' is better is not known: pass mode='min' or mode='max'")

    def _improved(self, epoch: int, logs: Logs) -> bool:
        value = logs[self._name]
        # Written so that NaN never counts as better.
        if not self._sign * value < self._sign * self.best - self.min_delta:
            return False
        self.best, self.best_epoch = value, epoch
        return True


class EarlyStopping(_Monitor):
    """Stops when a quantity no longer improves; always restores the best weights.

    The weights of the best epoch are restored whenever training ends: by patience, by itself, by Ctrl-C or by an error.

    Parameters
    ----------
    monitor : str or None
        Logged quantity; None or 'auto' takes ``val_loss`` where there is validation data, otherwise ``loss``.
    patience : int
        Epochs without improvement after which training stops.
    min_delta : float
        Smallest change that counts as an improvement.
    mode : {'auto', 'min', 'max'}
        Whether less or more is better; 'auto' knows losses, errors and the trainer's metrics.

    Attributes
    ----------
    best : float
        Best value.
    best_epoch : int or None
        Epoch of the best value, counted from 1.

    Raises
    ------
    ValueError, TypeError
        For bad arguments; in `fit`, where the quantity isn't logged.
    """

    remembered = ("best", "best_epoch", "_waited", "_weights")

    def __init__(self, monitor: str | None = "val_loss", patience: int = 5, min_delta: float = 0.0,
                 mode: str = "auto") -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = positive_int("patience", patience)
        self._weights: list[np.ndarray] | None = None

    def on_train_begin(self, trainer: Any) -> None:
        self._weights = None
        self._waited = 0
        super().on_train_begin(trainer)

    def on_epoch_end(self, trainer: Any, epoch: int, logs: Logs) -> None:
        if self._improved(epoch, logs):
            self._weights = [np.array(w) for w in trainer.model.get_weights()]
            self._waited = 0
            return
        self._waited += 1
        if self._waited >= self.patience:
            trainer.stop_training = True

    def on_train_end(self, trainer: Any) -> None:
        if self._weights is not None:
            trainer.model.set_weights(self._weights)
            self._weights = None


class ReduceLROnPlateau(_Monitor):
    """Lowers the learning rate when a quantity no longer improves.

    Parameters
    ----------
    monitor : str or None
        As for `EarlyStopping`.
    factor : float
        What the rate is multiplied by, between 0 and 1.
    patience : int
        Epochs without improvement after which it is lowered.
    min_delta : float
        Smallest change that counts as an improvement.
    cooldown : int
        Epochs after a reduction that don't count.
    min_learning_rate : float
        Rate below which it isn't lowered.
    mode : {'auto', 'min', 'max'}
        As for `EarlyStopping`.

    Raises
    ------
    ValueError, TypeError
        For bad arguments; in `fit`, where the quantity isn't logged.
    """

    remembered = ("best", "best_epoch", "_waited", "_resting")

    def __init__(self, monitor: str | None = "val_loss", factor: float = 0.5, patience: int = 5, min_delta: float = 0.0,
                 cooldown: int = 0, min_learning_rate: float = 0.0, mode: str = "auto") -> None:
        super().__init__(monitor, mode, min_delta)
        self.factor = nonnegative_float("factor", factor)
        if not 0 < self.factor < 1:
            raise ValueError(f"factor must be between 0 and 1, got {factor!r}")
        self.patience = positive_int("patience", patience)
        self.cooldown = nonnegative_int("cooldown", cooldown)
        self.min_learning_rate = nonnegative_float("min_learning_rate", min_learning_rate)

    def on_train_begin(self, trainer: Any) -> None:
        self._waited = self._resting = 0
        super().on_train_begin(trainer)

    def on_epoch_end(self, trainer: Any, epoch: int, logs: Logs) -> None:
        improved = self._improved(epoch, logs)
        resting = self._resting > 0
        self._resting -= resting
        self._waited = 0 if improved or resting else self._waited + 1
        if self._waited >= self.patience:
            # A rate below the minimum already, by a schedule say, stays as it is.
            rate = trainer.learning_rate
            trainer.learning_rate = min(rate, max(rate * self.factor, self.min_learning_rate))
            self._waited, self._resting = 0, self.cooldown


class ModelCheckpoint(_Monitor):
    """Saves the model after every epoch, or after those that improve on all before.

    The file is complete at any time: the model is written beside it and renamed.

    Parameters
    ----------
    path : path-like
        File; may hold fields such as ``{epoch:03d}`` or ``{val_loss:.3f}``.
    monitor : str or None
        As for `EarlyStopping`; only used with `save_best_only`.
    save_best_only : bool
        Whether to save only where the quantity improves.
    mode : {'auto', 'min', 'max'}
        As for `EarlyStopping`.

    Raises
    ------
    ValueError, TypeError
        For bad arguments; in `fit`, where the quantity isn't logged.
    """

    remembered = ("best", "best_epoch")

    def __init__(self, path: str | os.PathLike[str], monitor: str | None = "val_loss", save_best_only: bool = False,
                 mode: str = "auto") -> None:
        super().__init__(monitor, mode, 0.0)
        self.path = os.fspath(path)
        self.save_best_only = bool(save_best_only)

    def on_train_begin(self, trainer: Any) -> None:
        if self.save_best_only:
            super().on_train_begin(trainer)
        self._target({**dict.fromkeys(trainer.log_names, 0.0), "epoch": 0})  # an unknown field fails now, not later

    def on_epoch_end(self, trainer: Any, epoch: int, logs: Logs) -> None:
        if self.save_best_only and not self._improved(epoch, logs):
            return
        target = self._target({**logs, "epoch": epoch})
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".checkpoint-", dir=target.parent) as folder:
            trainer.model.save(Path(folder, target.name))
            os.replace(Path(folder, target.name), target)

    def _target(self, fields: Mapping[str, float]) -> Path:
        try:
            return Path(self.path.format(**fields))
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"path {self.path!r} can't be filled in ({error!r}); fields: {', '.join(fields)}"
                             ) from None
