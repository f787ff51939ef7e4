"""Training: puts a model, a loss, an optimiser and a backend together."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet._turns import Turns, finish
from numbanet.backend import new_steps
from numbanet.callbacks import Callback
from numbanet.checkpoint import recall
from numbanet.checks import positive_float, positive_int
from numbanet.data import on_host
from numbanet.device import CUDA, chosen
from numbanet.diagnosis import where_it_began
from numbanet.history import History
from numbanet.interrupts import late_interrupt
from numbanet.model import Sequential
from numbanet.resumable import Resumable
from numbanet.spec import Loss, Metric, Optimizer, Regularizer
from numbanet.targets import Targets
from numbanet.trace import Trace

CALL = 0.2  # seconds that one compiled call should last where nothing happens between epochs


class Trainer(Resumable):
    """Trains a model.

    Parameters
    ----------
    model : Sequential
        The network; its parameters change in place.
    loss : str or Loss
        What is minimised, as the mean over samples.
    optimizer : str or Optimizer, optional
        Update rule.
    regularizer : str or Regularizer, optional
        Penalty of all weights of layers that have none of their own; biases are spared unless
        it says otherwise. It is added once to a batch's mean loss, so that its strength means
        the same at every batch size.
    metrics : sequence of str or Metric, optional
        Computed on the training predictions of each epoch as they come, and on validation data.
    dtype : {"float32", "float64"}, optional
        Working type; the model is converted to it.
    threads : int, optional
        Threads at most; one for each core by default. Small steps use fewer.
    seed : int or None, optional
        Decides the first weights, the order of samples and the noise of layers; None draws one.
    device : {"cpu", "cuda", "auto"} or CUDA, optional
        Where to train; "auto" takes the GPU if it can be used.
    deterministic : bool, optional
        Whether any number of threads must give the same bits.

    Attributes
    ----------
    history : History
        Losses and metrics of all epochs so far.
    epochs_done : int
        Epochs so far, over all calls of `fit`.
    interrupted : bool
        Whether Ctrl-C ended the last call of `fit`.

    Raises
    ------
    ValueError, TypeError
        If a name is unknown or an argument can't be used.
    RuntimeError
        If the GPU is wanted and can't be used.
    """

    penalized = False  # whether penalties are divided by a batch's samples, and part of the losses

    def __init__(
        self,
        model: Sequential,
        loss: str | Loss,
        optimizer: str | Optimizer = "adam",
        *,
        regularizer: str | Regularizer | None = None,
        metrics: Sequence[str | Metric] = (),
        dtype: str = "float32",
        threads: int | None = None,
        seed: int | None = 0,
        device: str | CUDA = "cpu",
        deterministic: bool = False,
    ) -> None:
        super().__init__(
            model, loss, optimizer, regularizer=regularizer, metrics=metrics, dtype=dtype, threads=threads, seed=seed,
            device=device, deterministic=deterministic,
        )  # fmt: skip
        self.epochs = self.samples = 0
        self.stop_training = self.interrupted = False
        self.log_names: list[str] = []
        self._error = math.inf

    # -- training -----------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        epochs: int = 10,
        batch_size: int = 32,
        validation_data: Sequence[Any] | None = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        callbacks: Iterable[Callback] = (),
        progress: bool = True,
        shuffle: bool = True,
    ) -> History:
        """Train for some epochs, going on from where the last call stopped.

        Parameters
        ----------
        X : array_like of shape (n, ...)
            Samples.
        y : array_like of shape (n,) or (n, outputs)
            Targets: numbers, class labels from 0, or one-hot or soft rows, as the loss takes them.
        epochs : int, optional
            Passes over the data.
        batch_size : int, optional
            Samples in a step; the last batch may be smaller.
        validation_data : tuple of array_like, optional
            ``(X, y)`` or ``(X, y, sample_weight)`` on which the loss is computed after each epoch.
        sample_weight : array_like of shape (n,), optional
            A batch's loss is the mean weighted by it.
        class_weight : dict or "balanced", optional
            Weight of each label, by which sample weights are multiplied.
        callbacks : iterable of Callback, optional
            Called after each epoch.
        progress : bool, optional
            Whether to show a progress bar.
        shuffle : bool, optional
            Whether each epoch visits the samples in a new order, if it has more than one batch.

        Returns
        -------
        History
            Of all epochs so far.

        Raises
        ------
        ValueError, TypeError
            If an argument can't be used; the model is then as it was.
        FloatingPointError
            If the loss is no longer finite; the model then has the weights with which the epoch
            began.
        """
        history: History = finish(self._fit(
            X, y, epochs=epochs, batch_size=batch_size, validation_data=validation_data, sample_weight=sample_weight,
            class_weight=class_weight, callbacks=callbacks, progress=progress, shuffle=shuffle,
        ))  # fmt: skip
        return history

    def _fit(
        self, X: Any, y: Any, *, epochs: int = 10, batch_size: int = 32, validation_data: Sequence[Any] | None = None,
        sample_weight: Any = None, class_weight: Any = None, callbacks: Iterable[Callback] = (),
        progress: bool = True, shuffle: bool = True, clock: Callable[[], float] | None = None,
    ) -> Turns:  # fmt: skip
        """`fit` in turns; with a clock it is that of a group, who sees to Ctrl-C."""
        epochs, batch_size = positive_int("epochs", epochs), positive_int("batch_size", batch_size)
        hooks = _hooks(callbacks)
        X, y, weights, graph = self._training_data(X, y, sample_weight, class_weight)
        validation = None
        if validation_data is not None:
            validation = self._samples(*_validation(validation_data), graph, "validation ")
        if progress:
            from numbanet.progress import ProgressBar

            hooks.append(ProgressBar())
        self.epochs, self.samples = epochs, len(X)
        self.stop_training = self.interrupted = False
        self._hooks, self._end = hooks, self.epochs_done + epochs
        names = ["loss", *(m.name for m in self.metrics)]
        self.log_names = [*names, *(f"val_{n}" for n in names if validation), "learning_rate"]
        built = self.model.built
        with contextlib.ExitStack() as ends:
            ends.callback(self._forget_hooks)
            for hook in hooks:
                ends.callback(hook.on_train_end, self)
            outputs = np.zeros((len(X), graph.output.size), self.dtype) if self.metrics else None
            try:
                self._prepare(graph, y.classes)
                if self._saved:
                    state, arrays = self._saved
                    self._engine.restore(arrays["states"], state["since_reset"], state["steps"])
                if outputs is not None:
                    self._metrics(y, outputs, weights)  # one that can't take these targets fails before a step
                for hook in hooks:
                    hook.on_train_begin(self)
                if self._saved:
                    recall(hooks, *self._saved)
                    self._saved = None
            except BaseException:
                if not built:
                    self._unprepare()
                raise
            work = _Work(X, y, weights, validation, outputs, batch_size, shuffle, hooks)
            try:
                with late_interrupt(self) if clock is None else contextlib.nullcontext():
                    yield from self._run(work, clock or time.perf_counter)
            except KeyboardInterrupt:
                self.interrupted = True
        return self.history

    def _forget_hooks(self) -> None:
        self._hooks = []  # a trainer can be pickled, whatever its callbacks are

    def _run(self, work: _Work, clock: Callable[[], float]) -> Turns:
        """Epoch after epoch; several in one call where nothing happens between them."""
        adapts = self.schedule is not None and self.schedule.adapt is not None
        alone = not (self.metrics or work.validation or adapts)
        if adapts:
            self._error = yield from self._loss(work)
        last, most = self.epochs_done + self.epochs, 1
        while self.epochs_done < last and not self.stop_training:
            began = clock()
            count = min(most, last - self.epochs_done, *(hook.epochs_ahead(self) for hook in work.hooks))
            first, steps = self._engine.steps_done, -(-self.samples // work.batch)
            losses, failed = yield from self._epochs(work, count)
            problem = None if failed < 0 else self._undo(work, failed - len(losses) * steps, len(losses))
            if adapts:
                losses, problem = [*losses, *[math.inf] * (problem is not None)], None
                self._adapt(math.inf if failed >= 0 else (yield from self._loss(work)))
            for epoch, loss in enumerate(losses, 1):
                yield from self._epoch_ended(work, loss, first + epoch * steps)
            if problem:
                raise FloatingPointError(problem)
            if alone:
                most = max(1, min(1024, int(count * CALL / max(clock() - began, 1e-6))))

    def _epochs(self, work: _Work, count: int) -> Turns:
        """Losses of the epochs that ended, and the steps done before one failed, or -1."""
        losses, failed = yield from self._engine.training(
            self.model.parameters, work.X, work.y.values, work.weights, classes=work.y.classes, batch=work.batch,
            epochs=count, epoch=self.epochs_done, seed=self.seed, shuffle=work.shuffle, factor=self._factor,
            outputs=work.outputs, penalized=self.penalized,
        )  # fmt: skip
        return [float(loss) for loss in losses], failed

    def _epoch_ended(self, work: _Work, loss: float, step: int) -> Turns:
        self.epochs_done += 1
        logs = {"loss": loss}
        if work.outputs is not None:
            logs.update(self._metrics(work.y, work.outputs, work.weights))
        if work.validation:
            found = yield from self._evaluate(*work.validation)
            logs.update({f"val_{k}": v for k, v in found.items()})
        logs["learning_rate"] = self._scheduled(step) * self._factor
        self.history.append({"epoch": self.epochs_done, **logs})
        for hook in work.hooks:
            hook.on_epoch_end(self, self.epochs_done, logs)

    def trace(self, X: Any, y: Any, *, sample_weight: Any = None) -> Trace:
        """One step on a batch, shown and not taken: the trainer and the model stay as they are.

        Parameters
        ----------
        X : array_like of shape (n, ...)
            Samples of the batch.
        y : array_like of shape (n,) or (n, outputs)
            Targets.
        sample_weight : array_like of shape (n,), optional
            Weights of the samples.

        Returns
        -------
        Trace
            Every value and derivative, by name; prints as a table.

        Raises
        ------
        ValueError, TypeError
            If an argument can't be used, or the model normalizes batches, in which samples are not apart.
        FloatingPointError
            If the loss is not finite.
        """
        X = on_host(X, "X", chosen(self.device) is not None)
        X, targets, weights, graph = self._training_data(X, y, sample_weight, None)
        if any(node.kind == "batch_normalize" for node in graph.nodes):
            raise ValueError("a step can't be shown of a model with BatchNorm, in which samples are not apart")
        self._prepare(graph, targets.classes)
        engine, before = self._engine, self.model.parameters
        data, how = (X, targets.values, weights), {"classes": targets.classes, "seed": self.seed}
        steps = new_steps(graph, self.dtype, self.loss, before, *data, step=engine.steps_done, **how)
        memory, done, after = engine.memory(), engine.steps_done, before.copy()
        try:
            _, failed = engine.train(
                after, *data, batch=len(X), epochs=1, epoch=self.epochs_done, shuffle=False, factor=self._factor, **how
            )
        finally:
            engine.restore(*memory, done)
        loss, gradient = engine.gradient(before, *data, penalized=self.penalized, **how)
        if failed >= 0:
            raise FloatingPointError(f"the loss of these samples is {loss}: there is no step to show")
        return Trace.of(graph, X, steps, loss, {"": before, "d ": gradient, " after": after})

    # -- what goes wrong ----------------------------------------------------------------

    def _undo(self, work: _Work, step: int, epochs: int) -> str:
        """Take back the epoch that failed, and say what happened."""
        engine, steps, parameters = self._engine, -(-self.samples // work.batch), self.model.parameters.copy()
        rows = engine.order[step * work.batch :][: work.batch]
        engine.undo(self.model.parameters)
        where = where_it_began(self.model, parameters, np.ascontiguousarray(work.X[rows], self.dtype))
        return (
            f"the loss is no longer finite, at epoch {self.epochs_done + epochs + 1}, step {step + 1} of {steps}: "
            f"{where}. The weights are those from before this epoch, and the optimiser's state is new; lower the "
            f"learning rate ({self.learning_rate:g}) or clip the gradient"
        )

    def _adapt(self, error: float) -> None:
        """Let the schedule judge an epoch by the error after it; undo the epoch if it says so."""
        assert self.schedule is not None
        assert self.schedule.adapt is not None
        values = self.schedule.params.values()
        self._factor, keep = self.schedule.adapt(self._factor, error, self._error, *values)
        if keep:
            self._error = error
        else:
            self._engine.undo(self.model.parameters)

    def _loss(self, work: _Work) -> Turns:
        return (yield from self._engine.evaluation(
            self.model.parameters, work.X, work.y.values, work.weights, classes=work.y.classes
        ))  # fmt: skip

    # -- learning rate ------------------------------------------------------------------

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step; setting it scales what the schedule gives from now on."""
        return self._scheduled(self._step()) * self._factor

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        rate, scheduled = positive_float("learning_rate", value), self._scheduled(self._step())
        if scheduled == 0:
            raise ValueError("the schedule has brought the learning rate to 0; it can't be scaled")
        self._factor = rate / scheduled

    def _step(self) -> int:
        return 0 if self._engine is None else int(self._engine.steps_done)

    def _scheduled(self, step: int) -> float:
        """Rate that the schedule gives a step."""
        base = self.optimizer.params["learning_rate"]
        if self.schedule is None or self.schedule.rate is None:
            return base
        return float(self.schedule.rate(float(step), base, *self.schedule.params.values()))


@dataclass(frozen=True)
class _Work:
    """What one call of `fit` works on."""

    X: np.ndarray
    y: Targets
    weights: np.ndarray | None
    validation: tuple[Any, Targets, Any] | None
    outputs: np.ndarray | None
    batch: int
    shuffle: bool
    hooks: list[Callback]


def _hooks(callbacks: Any) -> list[Callback]:
    if isinstance(callbacks, Callback):
        return [callbacks]
    hooks = list(callbacks) if isinstance(callbacks, Iterable) else [callbacks]
    for hook in hooks:
        if not isinstance(hook, Callback):
            raise TypeError(f"callbacks must be an iterable of Callback objects, got {hook!r}")
    return sorted(hooks, key=lambda hook: hook.last)


def _validation(data: Sequence[Any]) -> tuple[Any, Any, Any]:
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise TypeError("validation_data must be (X, y) or (X, y, sample_weight)")
    return data[0], data[1], data[2] if len(data) == 3 else None
