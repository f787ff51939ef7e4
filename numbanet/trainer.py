"""Training: puts a model, a loss, an optimiser and a backend together."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from numbanet.callbacks import Callback
from numbanet.checks import positive_float, positive_int
from numbanet.data import Targets
from numbanet.graph import Graph
from numbanet.history import History
from numbanet.model import Sequential
from numbanet.objective import Objective
from numbanet.spec import Loss, Metric, Optimizer, Regularizer

CALL = 0.2  # seconds that one compiled call should last where nothing happens between epochs


class Trainer(Objective):
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
        Decides the first weights and the order of samples; None draws one.
    device : {"cpu"}, optional
        Where to train.
    deterministic : bool, optional
        Whether any number of threads must give the same bits.

    Attributes
    ----------
    history : History
        Losses and metrics of all epochs so far.
    epochs_done : int
        Epochs so far, over all calls of `fit`.

    Raises
    ------
    ValueError, TypeError
        If a name is unknown or an argument can't be used.
    """

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
        device: str = "cpu",
        deterministic: bool = False,
    ) -> None:
        super().__init__(
            model, loss, optimizer, regularizer=regularizer, metrics=metrics, dtype=dtype, threads=threads, seed=seed,
            device=device, deterministic=deterministic,
        )  # fmt: skip
        self.history = History()
        self.epochs_done = self.epochs = self.samples = 0
        self.stop_training = False
        self.log_names: list[str] = []
        self._factor, self._error = 1.0, float("inf")

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
            Whether each epoch visits the samples in a new order.

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
        epochs, batch_size = positive_int("epochs", epochs), positive_int("batch_size", batch_size)
        hooks: list[Callback] = [callbacks] if isinstance(callbacks, Callback) else list(callbacks)
        for hook in hooks:
            if not isinstance(hook, Callback):
                raise TypeError(f"callbacks must hold Callback objects, got {hook!r}")
        X, y, weights, graph = self._training_data(X, y, sample_weight, class_weight)
        validation = None
        if validation_data is not None:
            validation = self._samples(*_validation(validation_data), graph, "validation ")
        self._prepare(graph)
        if progress:
            from numbanet.progress import ProgressBar

            hooks.append(ProgressBar())
        self.epochs, self.samples, self.stop_training = epochs, len(X), False
        names = ["loss", *(m.name for m in self.metrics)]
        self.log_names = [*names, *(f"val_{n}" for n in names if validation), "learning_rate"]
        adapts = self.schedule is not None and self.schedule.adapt is not None
        lonely = bool(hooks or self.metrics or validation or adapts)
        outputs = np.empty((len(X), graph.output.size), self.dtype) if self.metrics else None
        last = self.epochs_done + epochs
        try:
            for hook in hooks:
                hook.on_train_begin(self)
            count = 1
            while self.epochs_done < last and not self.stop_training:
                began = time.perf_counter()
                count = min(count, last - self.epochs_done)
                losses = self._epochs(X, y, weights, count, batch_size, shuffle, outputs, adapts)
                for loss in losses:
                    self.epochs_done += 1
                    logs = {"loss": float(loss)}
                    if outputs is not None:
                        logs.update(self._metrics(y, outputs, weights, graph))
                    if validation:
                        logs.update({f"val_{k}": v for k, v in self._evaluate(*validation, graph).items()})
                    logs["learning_rate"] = self.learning_rate
                    self.history.append({"epoch": self.epochs_done, **logs})
                    for hook in hooks:
                        hook.on_epoch_end(self, self.epochs_done, logs)
                if not lonely:
                    taken = time.perf_counter() - began
                    count = max(1, min(1024, int(count * CALL / max(taken, 1e-6))))
        except KeyboardInterrupt:
            self.stop_training = True
        finally:
            with contextlib.ExitStack() as stack:
                for hook in reversed(hooks):
                    stack.callback(hook.on_train_end, self)
        return self.history

    def _epochs(
        self, X: np.ndarray, y: Targets, weights: Any, count: int, batch: int, shuffle: bool, outputs: Any, adapts: bool
    ) -> list[float]:
        """Run epochs; put back the weights of before if the loss is not finite or the schedule says so."""
        params, engine = self.model.parameters, self._engine
        before = params.copy()
        state = (engine.states.copy(), engine.steps_done) if adapts else None
        losses, failed = engine.train(
            params, X, y.values, weights, classes=y.classes, batch=batch, epochs=count, epoch=self.epochs_done,
            seed=self.seed, shuffle=shuffle, factor=self._factor, outputs=outputs,
        )  # fmt: skip
        if failed >= 0:
            steps = -(-len(X) // batch)
            where = self._where_it_began(X, engine.order[failed % steps * batch :][:batch])
            params[:] = before
            raise FloatingPointError(
                f"the loss is no longer finite, at epoch {self.epochs_done + failed // steps + 1}, step "
                f"{failed % steps + 1} of {steps}: {where}. The weights are those of before; lower the learning rate "
                f"({self.learning_rate:g}) or clip the gradient"
            )
        if adapts and self.schedule is not None:
            adapt, values = self.schedule.adapt, self.schedule.params.values()
            self._factor, keep = adapt(self._factor, float(losses[0]), self._error, *values)
            if keep:
                self._error = float(losses[0])
            elif state is not None:
                params[:] = before
                engine.states[:], engine.steps_done = state
        return list(losses)

    def _where_it_began(self, X: np.ndarray, order: np.ndarray) -> str:
        """The first layer whose output is not finite for the samples of a batch."""
        from numbanet.cpu.predictor import Predictor

        graph = self.model.graph
        samples = np.ascontiguousarray(X[order])
        for k, node in enumerate(graph.nodes):
            part = Graph(graph.input_shape, graph.nodes[: k + 1], graph.parameters)
            part.output = node.output
            outputs = Predictor(part, self.dtype)(self.model.parameters, samples)
            if outputs is None or not np.isfinite(outputs).all():
                layer = self.model.layers[node.layer]
                return f"it began in layer {node.layer} ({type(layer).__name__}, {node.kind})"
        return "every layer's output is finite; it began in the loss or its gradient"

    # -- learning rate ------------------------------------------------------------------

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step; setting it scales what the schedule gives from now on."""
        return self._scheduled() * self._factor

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        scheduled = self._scheduled()
        self._factor = positive_float("learning_rate", value) / scheduled if scheduled else 1.0

    def _scheduled(self) -> float:
        base = self.optimizer.params["learning_rate"]
        if self.schedule is None or self.schedule.rate is None:
            return base
        step = 0 if self._engine is None else self._engine.steps_done
        return float(self.schedule.rate(float(step), base, *self.schedule.params.values()))


def _validation(data: Sequence[Any]) -> tuple[Any, Any, Any]:
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise TypeError("validation_data must be (X, y) or (X, y, sample_weight)")
    return data[0], data[1], data[2] if len(data) == 3 else None
