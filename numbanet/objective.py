"""What is minimised: a model, a loss on its outputs, and penalties of its weights."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np

from numbanet._turns import Turns, finish
from numbanet.backend import new_engine, new_predictor
from numbanet.checks import nonnegative_int, positive_int
from numbanet.data import as_features, as_samples, on_host
from numbanet.device import CUDA, available_threads, chosen, on_gpu
from numbanet.graph import Graph
from numbanet.model import Sequential
from numbanet.registry import get
from numbanet.spec import Loss, Metric, Optimizer, Regularizer
from numbanet.targets import Targets, as_targets, as_weights


class Objective:
    """A model, its loss and an engine that computes them; `Trainer` says what the arguments mean."""

    def __init__(
        self,
        model: Sequential,
        loss: str | Loss,
        optimizer: str | Optimizer,
        *,
        regularizer: str | Regularizer | None,
        metrics: Sequence[str | Metric],
        dtype: str,
        threads: int | None,
        seed: int | None,
        device: str | CUDA,
        deterministic: bool,
    ) -> None:
        if not isinstance(model, Sequential):
            raise TypeError(f"model must be a Sequential, got {type(model).__name__}")
        self.model = model
        self.loss: Loss = get("loss", loss)
        self.optimizer: Optimizer = get("optimizer", optimizer)
        self.schedule = None if self.optimizer.schedule is None else get("schedule", self.optimizer.schedule)
        self.regularizer = None if regularizer is None else get("regularizer", regularizer)
        known = {"float32": "float32", "float64": "float64", np.float32: "float32", np.float64: "float64"}
        if dtype not in known and not isinstance(dtype, np.dtype):
            raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
        self.dtype = known.get(dtype, str(dtype))
        if self.dtype not in known:
            raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
        chosen(device)
        self.device = device
        if isinstance(metrics, (str, Metric)):
            metrics = [metrics]
        self.metrics: list[Metric] = [self._metric(metric) for metric in metrics]
        self.threads = None if threads is None else positive_int("threads", threads)
        self.seed = secrets.randbits(32) if seed is None else nonnegative_int("seed", seed)
        if self.seed >= 1 << 63:
            raise ValueError(f"seed must be below 2**63, got {seed}")
        self.deterministic = bool(deterministic)
        self._engine: Any = None
        self._carried: Any = None  # what the optimiser remembers on its way to another device
        self._link: Any = None
        self._predictor: Any = None  # a graph, and what computes it on the device

    def _metric(self, metric: str | Metric) -> Metric:
        spec: Metric = get("metric", metric)
        if isinstance(metric, str) and self.loss.targets == "sign" and "threshold" in spec.params:
            return spec.with_params(threshold=0.0)
        return spec

    def predict(self, X: Any) -> np.ndarray:
        """Predictions: the model's outputs after the loss's link, such as probabilities.

        Parameters
        ----------
        X : array_like of shape (n, ...)
            Samples. Those in a GPU's memory are not looked through for NaN, whose predictions are NaN.

        Returns
        -------
        ndarray of shape (n, outputs)
            Predictions; of samples in a GPU's memory an array there: CuPy's if CuPy is installed, else Numba's.

        Raises
        ------
        ValueError, TypeError
            If ``X`` can't be used.
        """
        choice = chosen(self.device)
        if choice is None:
            return self._linked(self.model.predict(X))
        graph = self.model.graph
        samples = as_samples(X, graph, self.dtype, gpu=True, finite=False)
        if self._predictor is None or self._predictor[0] is not graph:
            self._predictor = graph, new_predictor(self._with_link(graph), self.dtype, choice)
        return self._predictor[1](self.model.parameters, samples)

    def evaluate(self, X: Any, y: Any, *, sample_weight: Any = None) -> dict[str, float]:
        """Loss, without penalties, and metrics.

        Parameters
        ----------
        X : array_like of shape (n, ...)
            Samples.
        y : array_like
            Targets, as for `fit`.
        sample_weight : array_like of shape (n,), optional
            Weights of the mean.

        Returns
        -------
        dict of str to float
            "loss" and each metric by its name.

        Raises
        ------
        ValueError, TypeError
            If an argument can't be used.
        """
        graph = self.model.graph
        samples = self._samples(X, y, sample_weight, graph)
        self._prepare(graph, samples[1].classes)
        logs: dict[str, float] = finish(self._evaluate(*samples))
        return logs

    def loss_and_gradient(
        self, X: Any, y: Any, params: Any = None, *, sample_weight: Any = None
    ) -> tuple[float, np.ndarray]:
        """Mean loss with penalties and its gradient, as `scipy.optimize.minimize` takes them.

        It is the loss of training: with the noise of the next step, which stays the same until the trainer goes
        on, and with the statistics of these samples where a batch is normalized.

        Parameters
        ----------
        X : array_like of shape (n, ...)
            Samples, taken as one batch.
        y : array_like
            Targets, as for `fit`.
        params : array_like of shape (parameters,), optional
            Flat parameters at which to compute; the model's own by default, which don't change.
        sample_weight : array_like of shape (n,), optional
            Weights of the mean.

        Returns
        -------
        loss : float
            Mean loss plus penalties.
        gradient : ndarray of shape (parameters,)
            Of the working type.

        Raises
        ------
        ValueError, TypeError
            If an argument can't be used.
        """
        X, targets, weights, graph = self._training_data(X, y, sample_weight, None)
        if params is not None:
            params = as_features(np.reshape(params, (1, -1)), name="params", dtype=self.dtype)[0]
            if params.size != graph.size:
                raise ValueError(f"params has {params.size} elements; the model has {graph.size}")
            graph.check_masks(params)
        self._prepare(graph, targets.classes)
        at = self.model.parameters if params is None else params
        loss, gradient = self._engine.gradient(
            at, X, targets.values, weights, classes=targets.classes, seed=self.seed
        )
        return loss, gradient

    def _evaluate(self, X: np.ndarray, y: Targets, weights: Any) -> Turns:
        outputs = np.empty((len(X), self.model.graph.output.size), self.dtype) if self.metrics else None
        loss = yield from self._engine.evaluation(
            self.model.parameters, X, y.values, weights, classes=y.classes, outputs=outputs
        )
        logs = {"loss": loss}
        if outputs is not None:
            logs.update(self._metrics(y, outputs, weights))
        return logs

    def _metrics(self, y: Targets, outputs: np.ndarray, weights: Any) -> dict[str, float]:
        target = y.values
        if self.loss.targets == "classes":
            target = target[:, 0] if y.classes else target.argmax(axis=1)
        prediction = self._linked(outputs)
        weight = np.ones(len(outputs)) if weights is None else weights
        return {m.name: float(m.compute(target, prediction, weight, *m.params.values())) for m in self.metrics}

    def _linked(self, outputs: np.ndarray) -> np.ndarray:
        if self.loss.link == "identity":
            return outputs
        if self._link is None or self._link.input_shape != outputs.shape[1:]:
            graph = Graph(outputs.shape[1:])
            graph.node("activation", outputs.shape[1:], activation=get("activation", self.loss.link))
            self._link = new_predictor(graph, self.dtype)
        fine = np.isfinite(outputs).all(axis=1)
        linked = np.full_like(outputs, np.nan)
        if fine.any():
            linked[fine] = self._link(np.empty(0, self.dtype), np.ascontiguousarray(outputs[fine]))
        return linked

    def _with_link(self, graph: Graph) -> Graph:
        """The model and the loss's link behind it."""
        if self.loss.link == "identity":
            return graph
        linked = graph.copy()
        linked.node("activation", graph.output.shape, activation=get("activation", self.loss.link))
        return linked

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_link": None, "_predictor": None}

    # -- preparation --------------------------------------------------------------------

    def _training_data(self, X: Any, y: Any, sample_weight: Any, class_weight: Any) -> tuple[Any, Targets, Any, Graph]:
        graph = self.model.graph if self.model.built else None
        if graph is None:
            if not on_gpu(X):
                X = as_features(X, dtype=self.dtype)
            graph = self.model.describe(tuple(X.shape[1:]))
        samples = self._located(X, graph, "X")
        targets = self._targets(y, len(samples), graph, "y")
        weights = as_weights(sample_weight, class_weight, targets, n=len(samples), dtype=self.dtype)
        return samples, targets, weights, graph

    def _samples(self, X: Any, y: Any, sample_weight: Any, graph: Graph, kind: str = "") -> tuple[Any, Targets, Any]:
        samples = self._located(X, graph, f"{kind}X")
        targets = self._targets(y, len(samples), graph, f"{kind}y")
        return samples, targets, as_weights(sample_weight, None, targets, n=len(samples), dtype=self.dtype)

    def _located(self, X: Any, graph: Graph, name: str) -> Any:
        """Samples, which may be on the GPU if the work is done there."""
        return as_samples(X, graph, self.dtype, name=name, gpu=chosen(self.device) is not None)

    def _targets(self, y: Any, n: int, graph: Graph, name: str) -> Targets:
        y = on_host(y, name, chosen(self.device) is not None)  # its few numbers are checked here
        if len(graph.output.shape) != 1:
            raise ValueError(f"the model's output has shape {graph.output.shape}; a loss needs one axis")
        return as_targets(y, self.loss, outputs=graph.output.size, n=n, dtype=self.dtype, name=name)

    def _prepare(self, graph: Graph, classes: bool) -> None:
        """Build what is missing, once all arguments are known to be good."""
        if not self.model.built:
            self.model.build(graph.input.shape, dtype=self.dtype, seed=self.seed)
        self.model.astype(self.dtype)
        if self._engine is None or self._engine.graph is not self.model.graph:
            self._engine = new_engine(
                self.model.graph, self.loss, self.optimizer, self.schedule, self.regularizer, dtype=self.dtype,
                threads=self.threads, classes=classes, deterministic=self.deterministic, device=self.device,
            )  # fmt: skip
            if self._carried is not None:
                self._engine.restore(*self._carried)
                self._carried = None
        self._engine.begin()

    def to(self, device: str | CUDA) -> Self:
        """Go on on another device, with the same weights and all that the optimiser remembers.

        Parameters
        ----------
        device : {"cpu", "cuda", "auto"} or CUDA
            Where to go on.

        Returns
        -------
        Objective
            Itself.

        Raises
        ------
        ValueError
            If there is no such device.
        RuntimeError
            If the GPU is wanted and can't be used.
        """
        chosen(device)
        self.device = device
        self._predictor = None
        if self._engine is not None:
            self._carried = *self._engine.memory(), self._engine.steps_done
            self._engine = None
        return self

    @contextmanager
    def on_threads(self, count: int) -> Iterator[None]:
        """While another number of threads is to take part.

        Parameters
        ----------
        count : int
            Threads at most.
        """
        before, self.threads = self.threads, count
        if self._engine is not None:
            self._engine.threads = count
        try:
            yield
        finally:
            self.threads = before
            if self._engine is not None:
                self._engine.threads = before or available_threads()

    def _unprepare(self) -> None:
        """Forget parameters that a call built before it failed."""
        self._engine = None
        self.model._unbuild()
