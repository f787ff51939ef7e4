"""Many networks at once: each as it would be alone on one thread, spread over the cores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from numbanet.backend import available_threads
from numbanet.callbacks import Callback
from numbanet.checks import positive_int, real_array
from numbanet.history import History
from numbanet.trainer import Trainer

Rows = Sequence[Any] | None


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

    Each gets the bits that ``trainer.fit`` alone would give it with ``threads=1``. They may differ in
    anything: seeds, penalties, learning rates, dropout, architecture.

    Parameters
    ----------
    trainers : sequence of Trainer
        One for each network.
    X : array_like of shape (n, ...)
        Samples of all.
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
    X, y = real_array(X, "X"), np.asarray(y)
    count = positive_int("threads", threads or available_threads())
    for i, trainer in enumerate(trainers):
        if not isinstance(trainer, Trainer):
            raise TypeError(f"trainers[{i}] must be a Trainer, got {trainer!r}")
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

    def part(chosen: Any, array: np.ndarray) -> np.ndarray:
        return array if chosen is None else array[chosen]

    def fit(i: int) -> History:
        chosen = None if samples is None else samples[i]
        own = weights if weights is None or weights.ndim == 1 else weights[i]
        held_out = None if validation is None else (part(validation[i], X), part(validation[i], y))
        with trainers[i].on_threads(1):
            return trainers[i].fit(
                part(chosen, X), part(chosen, y), validation_data=held_out,
                sample_weight=None if own is None else part(chosen, own),
                callbacks=() if callbacks is None else callbacks(), progress=False, **options,
            )  # fmt: skip

    with ThreadPoolExecutor(count) as pool:
        futures: list[Future[History]] = [pool.submit(fit, i) for i in range(len(trainers))]
        try:
            if progress:
                from numbanet.progress import follow

                follow(futures, "networks")
            wait(futures)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for trainer in trainers:
                trainer.stop_training = True
            raise
    return [future.exception() or future.result() for future in futures]
