"""Many networks at once: each as it would be alone on one thread, spread over the cores."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from numbanet._turns import Request, Turns
from numbanet.callbacks import Callback
from numbanet.checks import listed, positive_int, real_array
from numbanet.data import on_host
from numbanet.device import available_threads, chosen
from numbanet.history import History
from numbanet.trainer import CALL, Trainer

Rows = Sequence[Any] | None
BOOKS = 1e-3  # seconds of Python that a network takes between two launches, at most


def fit_many(
    trainers: Sequence[Trainer],
    X: Any,
    y: Any,
    *,
    epochs: int = 10,
    batch_size: int = 32,
    samples: Rows = None,
    validation: Rows = None,
    sample_weight: Any = None,
    callbacks: Callable[[], Iterable[Callback]] | None = None,
    threads: int | None = None,
    shuffle: bool = True,
    progress: bool = False,
) -> list[History]:
    """Train many networks at the same time.

    Each gets the bits that ``trainer.fit`` alone would give it with ``threads=1``, or on a card by one block of
    threads. They may differ in anything: seeds, penalties, learning rates, dropout, architecture; on a card those of
    one architecture share launches.

    Parameters
    ----------
    trainers : sequence of Trainer
        One for each network.
    X : array_like of shape (n, ...)
        Samples of all; of those in a GPU's memory a copy is made on the host, from which networks get their rows.
    y : array_like of shape (n,) or (n, outputs)
        Targets.
    epochs : int, optional
        Passes over the data.
    batch_size : int, optional
        Samples in a step.
    samples : sequence of array_like, optional
        For each network the rows that it learns from, such as those outside a fold; all by default.
    validation : sequence of array_like, optional
        For each network the rows on which its validation loss is computed.
    sample_weight : array_like of shape (n,) or (networks, n), optional
        Weights of the samples, for all networks or each.
    callbacks : callable, optional
        Called without arguments for each network; returns its callbacks.
    threads : int, optional
        Networks trained at a time; one for each core by default.
    shuffle : bool, optional
        Whether each epoch visits the samples in a new order.
    progress : bool, optional
        Whether to show a progress bar.

    Returns
    -------
    list of History
        One for each network.

    Raises
    ------
    ValueError, TypeError
        If an argument can't be used.
    RuntimeError
        If networks could not be trained, such as for a loss that is no longer finite: the others are
        trained to the end before.

    Notes
    -----
    Ctrl-C stops those that are being trained after their epoch; the others are left untrained.
    """
    outcomes = attempt_many(
        trainers, X, y, epochs=epochs, batch_size=batch_size, samples=samples, validation=validation,
        sample_weight=sample_weight, callbacks=callbacks, threads=threads, shuffle=shuffle, progress=progress,
    )  # fmt: skip
    failed = [i for i, outcome in enumerate(outcomes) if isinstance(outcome, Exception)]
    if failed:
        first = outcomes[failed[0]]
        raise RuntimeError(f"{len(failed)} of {len(outcomes)} networks failed; network {failed[0]}: {first}") from first
    return outcomes


def attempt_many(
    trainers: Sequence[Trainer],
    X: Any,
    y: Any,
    *,
    samples: Rows,
    validation: Rows,
    sample_weight: Any,
    callbacks: Callable[[], Iterable[Callback]] | None,
    threads: int | None,
    progress: bool,
    **options: Any,
) -> list[Any]:
    """`fit_many` that returns the exception of a network that failed in place of its history."""
    trainers = listed(trainers, "trainers", "Trainer objects")
    count = positive_int("threads", threads or available_threads())
    for i, trainer in enumerate(trainers):
        if not isinstance(trainer, Trainer):
            raise TypeError(f"trainers[{i}] must be a Trainer, got {trainer!r}")
    on_device = [chosen(trainer.device) is not None for trainer in trainers]
    X, y, sample_weight = (
        on_host(array, name, any(on_device))
        for array, name in ((X, "X"), (y, "y"), (sample_weight, "sample_weight"))
    )
    X, y = real_array(X, "X"), np.asarray(y)
    if len({id(trainer.model) for trainer in trainers}) < len(trainers):
        raise ValueError("trainers share a model; give each a Sequential of its own")
    rows = {"samples": samples, "validation": validation}
    for name, parts in rows.items():
        if parts is not None and len(parts) != len(trainers):
            raise ValueError(f"{name} has {len(parts)} sets of rows for {len(trainers)} networks")
    weights = None if sample_weight is None else real_array(sample_weight, "sample_weight")
    if weights is not None and weights.shape not in ((len(X),), (len(trainers), len(X))):
        raise ValueError(
            f"sample_weight has shape {weights.shape}; expected ({len(X)},) or ({len(trainers)}, {len(X)})"
        )

    known = _Parts(X, y)

    def options_of(i: int) -> dict[str, Any]:
        rows = None if samples is None else samples[i]
        own = weights if weights is None or weights.ndim == 1 else weights[i]
        held_out = None if validation is None else known.of(validation[i], trainers[i], on_device[i])
        X, y = known.of(rows, trainers[i], on_device[i])
        return {
            "X": X, "y": y, "validation_data": held_out, "callbacks": () if callbacks is None else callbacks(),
            "sample_weight": own if own is None or rows is None else own[rows], "progress": False, **options,
        }  # fmt: skip

    def fit(i: int) -> History:
        with trainers[i].on_threads(1):
            return trainers[i].fit(**options_of(i))

    futures: list[Future[History]] = [Future() for _ in trainers]
    group = _Group({i: trainer for i, trainer in enumerate(trainers) if on_device[i]}, options_of, futures)
    with ThreadPoolExecutor(count) as pool:
        if group.trainers:
            pool.submit(group.run)
        for i, there in enumerate(on_device):
            if not there:
                futures[i] = pool.submit(fit, i)
        try:
            if progress:
                from numbanet.progress import follow

                follow(futures, "networks")
            wait(futures)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            group.stopped.set()
            for trainer in trainers:
                trainer.stop_training = True
            raise
    return [future.exception() or future.result() for future in futures]


class _Parts:
    """Rows of the samples; the same rows are the same arrays, of which there is one on a device."""

    def __init__(self, X: np.ndarray, y: np.ndarray) -> None:
        self.X, self.y = X, y
        self._known: dict[Any, tuple[np.ndarray, np.ndarray]] = {}

    def of(self, rows: Any, trainer: Trainer, shared: bool) -> tuple[np.ndarray, np.ndarray]:
        """Samples and targets; those that are shared are of the working type already."""
        if not shared:
            return (self.X, self.y) if rows is None else (self.X[rows], self.y[rows])
        which = None if rows is None else np.asarray(rows)
        key = trainer.dtype, None if which is None else (which.dtype.str, which.shape, which.tobytes())
        if key not in self._known:
            X, y = (self.X, self.y) if rows is None else (self.X[rows], self.y[rows])
            with np.errstate(over="ignore"):  # which `fit` finds
                same = np.require(X, trainer.dtype, ("C", "A"))
            self._known[key] = same if np.isfinite(same).all() else X, y
        return self._known[key]


class _Group:
    """Networks that are trained on a device, whose calls share launches; its clock stands still between them."""

    def __init__(
        self, trainers: dict[int, Trainer], options: Callable[[int], dict[str, Any]], futures: list[Future[History]]
    ) -> None:
        self.trainers, self._options, self._futures = trainers, options, futures
        self.stopped = threading.Event()
        self._now = 0.0
        self._works: dict[int, Turns] = {}
        self._wanted: dict[int, Request] = {}

    def run(self) -> None:
        """Train all to their ends."""
        from numbanet.cuda.many import Together

        try:
            together = Together()
            slow = CALL / (CALL + BOOKS * len(self.trainers))
            for i in self.trainers:
                if not self.stopped.is_set():
                    self._works[i] = self._work(i)
                    self._go_on(i, None)
                    if i in self._wanted and together.key(self._wanted[i]) is None:  # it needs the device for itself
                        self._serve(together, [i], slow)
            while self._wanted:
                self._serve(together, list(self._wanted), slow, once=True)
        except BaseException as error:
            for i in self.trainers:
                if not self._futures[i].done():
                    self._futures[i].set_exception(error)

    def _work(self, i: int) -> Turns:
        return (yield from self.trainers[i]._fit(**self._options(i), clock=lambda: self._now))

    def _serve(self, together: Any, numbers: list[int], slow: float, *, once: bool = False) -> None:
        """Answer what networks want, once or to their ends."""
        while numbers:
            began = together.seconds
            answers = together.answers([self._wanted[i] for i in numbers])
            self._now += slow * (together.seconds - began)
            for i, answer in zip(numbers, answers, strict=True):
                if self.stopped.is_set():
                    self.trainers[i].stop_training = True
                self._go_on(i, answer)
            numbers = [] if once else [i for i in numbers if i in self._wanted]

    def _go_on(self, i: int, answer: Any) -> None:
        """Let a network's training run until it wants something, or ends."""
        self._wanted.pop(i, None)
        work, future = self._works[i], self._futures[i]
        try:
            self._wanted[i] = work.throw(answer) if isinstance(answer, Exception) else work.send(answer)
        except StopIteration as end:
            future.set_result(end.value)
        except Exception as error:
            future.set_exception(error)
        if i not in self._wanted:
            del self._works[i]
