"""The same network from several beginnings, of which the lowest end is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet.callbacks import Callback
from numbanet.checks import nonnegative_int, positive_int
from numbanet.device import CUDA
from numbanet.many import attempt_many
from numbanet.model import Sequential
from numbanet.spec import Loss, Optimizer, Regularizer
from numbanet.trainer import Trainer


@dataclass(frozen=True, eq=False)
class MultiStart:
    """What became of each beginning.

    Parameters
    ----------
    seeds : ndarray of shape (starts,)
        Of the initial weights and the orders.
    losses : ndarray of shape (starts,)
        Mean loss with penalties at the end; infinite of one that diverged.
    trainers : list of Trainer
        One for each beginning.
    best : Trainer
        The one with the smallest loss.
    """

    seeds: np.ndarray
    losses: np.ndarray
    trainers: list[Trainer]
    best: Trainer

    def __repr__(self) -> str:
        found = self.losses[np.isfinite(self.losses)]
        return f"MultiStart of {len(self.losses)}: losses from {found.min():.6g} to {found.max():.6g}"


def multi_start(
    model: Sequential,
    X: Any,
    y: Any,
    *,
    loss: str | Loss,
    optimizer: str | Optimizer = "adam",
    regularizer: str | Regularizer | None = None,
    starts: int = 10,
    epochs: int = 100,
    batch_size: int = 32,
    callbacks: Callable[[], Iterable[Callback]] | None = None,
    dtype: str = "float32",
    seed: int = 0,
    threads: int | None = None,
    device: str | CUDA = "cpu",
    progress: bool = False,
) -> MultiStart:
    """Train a network from several initial weights, and tell which came down furthest.

    Gradient descent ends in a minimum near where it began. Where it begins is chance, so several beginnings find lower
    ones.

    Parameters
    ----------
    model : Sequential
        Its layers are used; its weights are not.
    X : array_like of shape (n, ...)
        Samples.
    y : array_like of shape (n,) or (n, outputs)
        Targets.
    loss : str or Loss
        What is minimised, and compared.
    optimizer : str or Optimizer, optional
        Update rule.
    regularizer : str or Regularizer, optional
        Penalty of all weights.
    starts : int, optional
        Beginnings, at least 1.
    epochs, batch_size : int, optional
        Of training.
    callbacks : callable, optional
        Called without arguments for each network; gives its callbacks.
    dtype : {"float32", "float64"}, optional
        Working type.
    seed : int, optional
        Of the first; the others have the numbers that follow.
    threads : int, optional
        Networks trained at a time; one for each core by default.
    device : {"cpu", "cuda", "auto"} or CUDA, optional
        Where to train; on a card networks share launches.
    progress : bool, optional
        Whether to show a progress bar.

    Returns
    -------
    MultiStart
        Losses, trainers, and the best of them.

    Raises
    ------
    ValueError, TypeError
        If an argument can't be used.
    FloatingPointError
        If all diverged.

    Examples
    --------
    >>> import numpy as np
    >>> import numbanet as nn
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> model = nn.Sequential([nn.Dense(2, "tanh"), nn.Dense(1)])
    >>> found = nn.multi_start(model, X, y, loss="binary_cross_entropy", optimizer=nn.Adam(0.1), epochs=300)
    >>> (found.best.predict(X)[:, 0] > 0.5).tolist()
    [False, True, True, False]
    """
    count, first = positive_int("starts", starts), nonnegative_int("seed", seed)
    seeds = np.arange(first, first + count)
    trainers = [
        Trainer(
            Sequential(model.layers), loss, optimizer, regularizer=regularizer, dtype=dtype, seed=int(own),
            device=device,
        )
        for own in seeds
    ]  # fmt: skip
    outcomes = attempt_many(
        trainers, X, y, samples=None, validation=None, sample_weight=None, callbacks=callbacks, threads=threads,
        progress=progress, epochs=epochs, batch_size=batch_size,
    )  # fmt: skip
    losses = np.full(count, np.inf)
    for i, (trainer, outcome) in enumerate(zip(trainers, outcomes, strict=True)):
        if isinstance(outcome, FloatingPointError):
            continue
        if isinstance(outcome, Exception):
            raise outcome
        losses[i], _ = trainer.loss_and_gradient(X, y)
    best = int(losses.argmin())
    if not np.isfinite(losses[best]):
        raise FloatingPointError(f"all {count} networks diverged; lower the learning rate")
    return MultiStart(seeds, losses, trainers, trainers[best])
