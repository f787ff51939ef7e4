"""Weight decay by cross-validation."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from numbanet.callbacks import EarlyStopping
from numbanet.checks import nonnegative_float, real_array, whole_number
from numbanet.data import on_host
from numbanet.device import CUDA, chosen
from numbanet.many import attempt_many
from numbanet.model import Sequential
from numbanet.registry import get
from numbanet.spec import Loss, Optimizer
from numbanet.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STRENGTHS = tuple(10.0 ** np.linspace(-6, -1, 11))


@dataclass(frozen=True, eq=False)
class WeightDecayCV:
    """What `select_weight_decay` found.

    Parameters
    ----------
    strengths : ndarray of shape (strengths,)
        What was tried, from the least.
    scores : ndarray of shape (strengths, folds)
        Least validation loss of each network; infinite where training failed.
    epochs : ndarray of shape (strengths, folds)
        Epoch of that loss, 0 where training failed.
    best, chosen : float
        Strength of the least mean score, and by the rule.
    trainer : Trainer
        Trained on all samples with the chosen strength.
    """

    strengths: np.ndarray
    scores: np.ndarray
    epochs: np.ndarray
    best: float
    chosen: float
    trainer: Trainer = field(repr=False)

    @property
    def means(self) -> np.ndarray:
        """Mean score of each strength over the folds."""
        return self.scores.mean(axis=1)

    @property
    def errors(self) -> np.ndarray:
        """Standard error of each mean; infinite where a fold failed."""
        return standard_errors(self.scores)

    def predict(self, X: Any) -> np.ndarray:
        """Predictions of the network trained on all samples.

        Parameters
        ----------
        X : array_like of shape (n, ...)
            Samples.

        Returns
        -------
        ndarray of shape (n, outputs)
            As from `Trainer.predict`.
        """
        return self.trainer.predict(X)

    def table(self) -> str:
        """Mean score, its standard error and the epochs of each strength.

        Returns
        -------
        str
            For people.
        """
        lines = ["weight decay  validation loss  standard error  epochs"]
        for strength, mean, error, epochs in zip(self.strengths, self.means, self.errors, self.epochs, strict=True):
            notes = [name for name, at in (("best", self.best), ("chosen", self.chosen)) if at == strength]
            line = f"{strength:>12.3g}  {mean:>15.6g}  {error:>14.3g}  {np.median(epochs):>6.0f}"
            lines.append(f"{line}  {', '.join(notes)}".rstrip())
        return "\n".join(lines)

    def to_csv(self, path: str | Path) -> None:
        """Write a line for each strength and fold: its score, and the epoch of it.

        Parameters
        ----------
        path : path-like
            File to write.
        """
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("weight_decay", "fold", "val_loss", "epoch"))
            for strength, scores, epochs in zip(self.strengths, self.scores, self.epochs, strict=True):
                for fold, (score, epoch) in enumerate(zip(scores, epochs, strict=True), 1):
                    writer.writerow((strength, fold, score, epoch))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the scores over the strengths.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure where left out.

        Returns
        -------
        matplotlib.axes.Axes
            Where it was drawn.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        from numbanet.plot import validation_curve

        return validation_curve(self.strengths, self.means, self.errors, self.chosen, ax)


def select_weight_decay(
    model: Sequential,
    X: Any,
    y: Any,
    *,
    loss: str | Loss,
    optimizer: str | Optimizer = "adam",
    regularizer: str = "l2",
    strengths: Any = STRENGTHS,
    folds: int = 5,
    epochs: int = 200,
    batch_size: int = 32,
    patience: int = 10,
    one_standard_error: bool = True,
    dtype: str = "float32",
    seed: int = 0,
    threads: int | None = None,
    device: str | CUDA = "cpu",
    progress: bool = False,
) -> WeightDecayCV:
    """Choose the strength of a penalty by cross-validation, and train with it on all samples.

    For each strength and each fold a network learns from the other folds until its loss on the fold
    no longer falls. Chosen is the largest strength whose mean score is within one standard error of the
    best; the last network, trained on everything, takes the median of that strength's epochs.

    Parameters
    ----------
    model : Sequential
        Its layers are used; its weights are not.
    X : array_like of shape (n, ...)
        Samples.
    y : array_like of shape (n,) or (n, outputs)
        Targets; where they are labels of classes, every fold has its share of each.
    loss : str or Loss
        What is minimised, and compared.
    optimizer : str or Optimizer, optional
        Update rule.
    regularizer : str, optional
        Name of a regularizer with the parameter ``strength``.
    strengths : array_like, optional
        What to try: at least 0, and at least one of them.
    folds : int, optional
        Parts of the data, at least 2.
    epochs, batch_size : int, optional
        Of training; epochs at most.
    patience : int, optional
        Epochs without a lower loss on the fold after which a network stops.
    one_standard_error : bool, optional
        Otherwise the strength with the best mean is chosen.
    dtype : {"float32", "float64"}, optional
        Working type.
    seed : int, optional
        Of the folds and the weights.
    threads : int, optional
        Networks trained at a time; one for each core by default.
    device : {"cpu", "cuda", "auto"} or CUDA, optional
        Where to train; on a card networks share launches, as in `fit_many`.
    progress : bool, optional
        Whether to show a progress bar.

    Returns
    -------
    WeightDecayCV
        Scores, choice, and the network trained on all samples.

    Raises
    ------
    ValueError, TypeError
        If an argument can't be used.
    FloatingPointError
        If no strength could be trained in all folds.

    Notes
    -----
    Hastie, Tibshirani and Friedman, The elements of statistical learning (2009), section 7.10.
    """
    tried = np.unique([nonnegative_float("strengths", s) for s in np.atleast_1d(strengths)])
    if not tried.size:
        raise ValueError("strengths is empty; expected at least one number")
    gpu = chosen(device) is not None
    X, y = real_array(on_host(X, "X", gpu), "X"), np.asarray(on_host(y, "y", gpu))
    whole_number("folds", folds, 2)
    if folds > len(X):
        raise ValueError(f"folds must be at most the number of samples, {len(X)}; got {folds}")

    def trainer(strength: float) -> Trainer:
        rule = get("regularizer", regularizer, strength=strength)
        own = Sequential(model.layers)
        return Trainer(own, loss, optimizer, regularizer=rule, dtype=dtype, seed=seed, device=device)

    labels = y if trainer(0.0).loss.targets in ("classes", "binary", "sign") and y.ndim == 1 else None
    parts = _folds(len(X), labels, folds, seed)
    trainers = [trainer(strength) for strength in tried for _ in parts]
    outcomes = attempt_many(
        trainers, X, y, epochs=epochs, batch_size=batch_size, threads=threads, sample_weight=None,
        samples=[np.concatenate(parts[:i] + parts[i + 1 :]) for i in range(folds)] * len(tried),
        validation=parts * len(tried), progress=progress,
        callbacks=lambda: [EarlyStopping("val_loss", patience=patience)],
    )  # fmt: skip
    scores, ended = np.full(len(outcomes), np.inf), np.zeros(len(outcomes), int)
    for i, outcome in enumerate(outcomes):
        if isinstance(outcome, FloatingPointError):  # so strong that it diverged
            continue
        if isinstance(outcome, Exception):
            raise outcome
        ended[i] = outcome["epoch"][outcome.best("val_loss")]
        scores[i] = min(outcome["val_loss"])
    scores.shape = ended.shape = len(tried), folds
    means = scores.mean(axis=1)
    best = int(means.argmin())
    if not np.isfinite(means[best]):
        raise FloatingPointError("no strength could be trained in all folds; lower the learning rate")
    choice = largest_within_error(scores) if one_standard_error else best
    last = trainer(float(tried[choice]))
    last.threads = threads
    last.fit(X, y, epochs=int(np.median(ended[choice])), batch_size=batch_size, progress=False)
    return WeightDecayCV(tried, scores, ended, float(tried[best]), float(tried[choice]), last)


def standard_errors(scores: np.ndarray) -> np.ndarray:
    """Of the means of rows; infinite where an element is."""
    finite = np.isfinite(scores).all(axis=1)
    errors = np.full(len(scores), np.inf)
    errors[finite] = scores[finite].std(axis=1, ddof=1) / scores.shape[1] ** 0.5
    return errors


def largest_within_error(scores: np.ndarray) -> int:
    """Row of the largest strength whose mean score is within one standard error of the best."""
    means = scores.mean(axis=1)
    best = int(means.argmin())
    return int(np.flatnonzero(means <= means[best] + standard_errors(scores)[best])[-1])


def _folds(n: int, labels: np.ndarray | None, count: int, seed: int) -> list[np.ndarray]:
    """Rows of each fold: a shuffled order dealt out, after sorting by label where there are labels."""
    order = np.random.default_rng(seed).permutation(n)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    return [np.sort(order[i::count]) for i in range(count)]
