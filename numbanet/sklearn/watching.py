"""scikit-learn's callbacks, an experiment of its version 1.9: told of every epoch, and may end the fit."""

from __future__ import annotations

import copy
from typing import Any

from numbanet.callbacks import Callback, Logs

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""

    def with_callbacks(method: Any) -> Any:
        """Change nothing."""
        return method


class Watched(Callback):
    """Tells an estimator's scikit-learn callbacks of its epochs.

    Parameters
    ----------
    estimator : object
        The estimator.
    data : dict
        Training data under the names of the protocol: X, y and metadata.
    tasks : int or None
        Epochs or iterations at most, if that is known.
    """

    def __init__(self, estimator: Any, data: dict[str, Any], tasks: int | None) -> None:
        self.estimator, self.data, self.tasks, self.done = estimator, data, tasks, 0
        self.context = estimator._init_callback_context(max_subtasks=tasks)
        self.context.call_on_fit_task_begin(estimator=estimator, **data)
        self._task: Any = None

    def begin(self, name: str) -> None:
        """An epoch or iteration begins."""
        self._task = self.context.subcontext(task_name=name)
        self._task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end(self) -> bool:
        """It has ended; whether a callback wants no other."""
        self.done += 1
        return bool(self._task.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=self._as_fitted, **self.data
        ))  # fmt: skip

    def close(self) -> None:
        """All has ended."""
        self.context.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=self._as_fitted, **self.data
        )

    def _as_fitted(self) -> dict[str, Any]:
        """What an estimator is like that had been fitted so far."""
        return {"model_": copy.deepcopy(self.estimator.model_)}

    def on_train_begin(self, trainer: Any) -> None:
        """The first epoch begins."""
        self.begin("epoch")

    def on_epoch_end(self, trainer: Any, epoch: int, logs: Logs) -> None:
        """An epoch has ended, and another begins unless it was the last."""
        if self.end():
            trainer.stop_training = True
        if not trainer.stop_training and self.done != self.tasks:
            self.begin("epoch")


def watched(estimator: Any, data: dict[str, Any], tasks: int | None) -> Watched | None:
    """What tells an estimator's callbacks, if it has any."""
    return Watched(estimator, data, tasks) if getattr(estimator, "_skl_callbacks", None) else None
