"""What ``numbanet train`` does: split, scale, train, test, save."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from numbanet.callbacks import Callback, EarlyStopping
from numbanet.checkpoint import Checkpoint
from numbanet.datasets import Dataset, split
from numbanet.history import History
from numbanet.layers import Dense
from numbanet.model import Sequential
from numbanet.models import lenet5
from numbanet.registry import get
from numbanet.runs import HISTORY, MODEL, curves, save
from numbanet.search import WeightDecayCV, select_weight_decay
from numbanet.trainer import Trainer

AS_IT_IS: tuple[np.ndarray, np.ndarray] = (np.zeros(1), np.ones(1))  # mean and scale of what stays in its units
TEST_FRACTION = 0.2  # where the data has no test part of its own


class Experiment:
    """A network, the parts of the data, and the units they are measured in.

    Parameters
    ----------
    dataset : Dataset
        Samples as vectors or images.
    rescale : bool
        Whether to standardise features for training, and bytes to 0 to 1; real targets always are.
    model : {"dense", "lenet5"}
        Kind of network; a dense one takes images as vectors.
    layers : tuple of int
        Units of the hidden layers of a dense network.
    activation, optimizer : str
        Names.
    loss : str or None
        Name; by default what suits the task.
    learning_rate : float or None
        The optimiser's default where None.
    weight_decay : float
        Strength of the L2 penalty.
    validation_fraction : float
        Share of the samples, or, where the data has a test part of its own, of the others.
    test_fraction : float or None
        Share of the samples; by default 0.2, or the data's test part.
    epochs, batch_size, patience, seed : int
        Of training.
    threads : int or None
        One a core where None.
    dtype : str
        Working dtype.
    device : str
        Where to train.

    Raises
    ------
    ValueError, TypeError
        If a name is unknown or the data doesn't suit.
    RuntimeError
        If the GPU is wanted and can't be used.
    """

    def __init__(self, dataset: Dataset, *, rescale: bool, model: str, layers: tuple[int, ...], activation: str,
                 loss: str | None, optimizer: str, learning_rate: float | None, weight_decay: float, epochs: int,
                 batch_size: int, validation_fraction: float, test_fraction: float | None, patience: int, seed: int,
                 threads: int | None, dtype: str, device: str = "cpu") -> None:
        if model == "dense":
            dataset = _as_vectors(dataset)
        elif dataset.X.ndim != 4:
            raise ValueError(f"{model} takes images; the samples have {dataset.X.shape[1]} features")
        self.dataset = dataset
        self.epochs, self.batch_size, self.patience = epochs, batch_size, patience
        classification = dataset.task == "classification"
        self.loss = get("loss", loss or ("softmax_cross_entropy" if classification else "mean_squared_error"))
        classes = len(dataset.classes or ())
        if classification and classes < 2:
            raise ValueError("the target has one value only; expected at least two classes")
        self.single = self.loss.targets in ("binary", "sign")
        self.by_label = classification and (self.single or self.loss.targets == "classes")  # else one column a class
        if self.single and classes != 2:
            raise ValueError(f"loss '{self.loss.name}' tells two classes apart; the target has {classes}: use "
                             "softmax_cross_entropy")
        columns = 1 if dataset.y.ndim == 1 else dataset.y.shape[1]
        outputs = columns if not classification or self.single else classes
        X, y, share = dataset.X, dataset.y, validation_fraction
        if dataset.test is None:
            test_fraction = TEST_FRACTION if test_fraction is None else test_fraction
            X, y, self.X_test, self.y_test = split(X, y, test_fraction, seed, classification)
            share /= 1 - test_fraction
        elif test_fraction is None:
            self.X_test, self.y_test = dataset.test
        else:
            raise ValueError("the data has a test part of its own; leave test-fraction out")
        if share >= 1:
            raise ValueError("validation-fraction and test-fraction leave nothing to train on; expected less than 1 "
                             "in all")
        self.X, self.y, self.X_validation, self.y_validation = split(X, y, share, seed + 1, classification)
        self.rescale = rescale
        self.mean, self.scale = _units(self.X) if rescale else AS_IT_IS
        shift = not classification and self.loss.targets == "real"
        self.target_mean, self.target_scale = _units(self.y) if shift else AS_IT_IS
        if model == "dense":
            self.model = Sequential([*(Dense(units, activation=activation) for units in layers), Dense(outputs)])
            widths = [self.X.shape[1], *(f"{units} {activation}" for units in layers), outputs]
            self.network = ", ".join(map(str, widths))
        else:
            self.model = lenet5(outputs, activation)
            self.network = f"{model} {activation}, {self.model.describe(self.X.shape[1:]).count:,} parameters"
        rate = {} if learning_rate is None else {"learning_rate": learning_rate}
        self.optimizer = get("optimizer", optimizer, **rate)
        self.trainer = Trainer(
            self.model, loss=self.loss, optimizer=self.optimizer,
            regularizer=get("regularizer", "l2", strength=weight_decay) if weight_decay else None,
            metrics=["accuracy"] if self.by_label else [], dtype=dtype, threads=threads, seed=seed,
            device=device)

    def describe(self) -> str:
        """Data and network in two lines.

        Returns
        -------
        str
            For people.
        """
        what = f"{len(self.dataset.classes)} classes" if self.dataset.classes else "numbers to predict"
        samples = len(self.X) + len(self.X_validation) + len(self.X_test)
        features = "x".join(map(str, self.X.shape[1:]))
        return (f"{samples:,} samples, {features} features, {what}; {len(self.X):,} to train, "
                f"{len(self.X_validation):,} to validate, {len(self.X_test):,} held out\n"
                f"network {self.network}, {self.optimizer.name}, {self.loss.name}")

    def fit(self, checkpoint: Path | None = None, resume: bool = False, watchers: Sequence[Callback] = ()
            ) -> History:
        """Train with a progress bar, until the validation loss no longer improves.

        Parameters
        ----------
        checkpoint : Path, optional
            Folder for checkpoints.
        resume : bool
            Whether to go on from the newest there.
        watchers : sequence of Callback
            Further callbacks.

        Returns
        -------
        History
            Losses of standardised targets.

        Raises
        ------
        ValueError
            If the data can't be used, or a checkpoint is that of another run.
        FileNotFoundError
            If there is no checkpoint to go on from.
        """
        epochs = self.epochs
        callbacks: list[Callback] = [EarlyStopping("auto", patience=self.patience), *watchers]
        if checkpoint is not None:
            if resume:
                epochs = self.trainer.resume(checkpoint)
                if not epochs:
                    raise ValueError(f"the run of '{checkpoint}' has had all its epochs")
            callbacks.append(Checkpoint(checkpoint))
        validation = None
        if len(self.X_validation):
            validation = (self._inputs(self.X_validation), self._targets(self.y_validation))
        history = self.trainer.fit(
            self._inputs(self.X), self._targets(self.y), epochs=epochs, batch_size=self.batch_size,
            validation_data=validation, callbacks=callbacks, progress=True)
        self._restore_units()
        return history

    def _inputs(self, X: np.ndarray) -> np.ndarray:
        return (X - self.mean) / self.scale if self.rescale else X

    def _targets(self, y: np.ndarray) -> np.ndarray:
        if self.dataset.task == "classification":
            return y if self.by_label else np.eye(len(self.dataset.classes or ()))[y]
        return (y - self.target_mean) / self.target_scale

    def _restore_units(self) -> None:
        """Fold the scales into the first and the last layer: ((x - m) / s) W + b = x (W / s) + b - (m / s) W."""
        weights = [w.astype(np.float64) for w in self.model.get_weights()]
        if self.mean.any():  # not of images
            weights[1] -= (self.mean / self.scale) @ weights[0]
        weights[0] /= self.scale[:, None]
        weights[-2] *= self.target_scale
        weights[-1] = weights[-1] * self.target_scale + self.target_mean
        self.model.set_weights(weights)
        if self.dataset.task == "classification":
            self.model.classes = self.dataset.classes

    def test(self) -> tuple[np.ndarray, np.ndarray]:
        """Targets and predictions of the held-out samples, in the original units.

        Returns
        -------
        y, prediction : ndarray
            Labels, shape (n,), or numbers, shape (n, outputs).
        """
        if not len(self.X_test):
            return self.y_test, self.y_test
        outputs = self.model.predict(self.X_test)
        if self.dataset.task == "regression":
            return self.y_test.reshape(outputs.shape), self.trainer.predict(self.X_test)
        return self.y_test, (outputs[:, 0] > 0).astype(np.int64) if self.single else outputs.argmax(axis=1)

    def save(self, folder: Path, history: History) -> list[str]:
        """Write the model, the history and, where matplotlib is there, a picture of it.

        Parameters
        ----------
        folder : Path
            Where to write.
        history : History
            What `fit` returned.

        Returns
        -------
        list of str
            Names of the files.
        """
        self.model.save(folder / MODEL)
        history.to_csv(folder / HISTORY)
        return [MODEL, HISTORY, *save([curves(history)], folder, "png")]

    def tune(self, strengths: Sequence[float], folds: int) -> WeightDecayCV:
        """Choose the weight decay by cross-validation, and train with it on all that is not held out.

        Parameters
        ----------
        strengths : sequence of float
            What to try.
        folds : int
            Parts of the data.

        Returns
        -------
        WeightDecayCV
            Losses of standardised targets.

        Raises
        ------
        ValueError, FloatingPointError
            If the data can't be used, or no strength could be trained.
        """
        result = select_weight_decay(
            self.model, self._inputs(self.X), self._targets(self.y), loss=self.loss, optimizer=self.optimizer,
            strengths=strengths, folds=folds, epochs=self.epochs, batch_size=self.batch_size, patience=self.patience,
            dtype=self.trainer.dtype, seed=self.trainer.seed, threads=self.trainer.threads,
            device=self.trainer.device, progress=True)
        self.trainer, self.model = result.trainer, result.trainer.model
        self._restore_units()
        return result


def _as_vectors(dataset: Dataset) -> Dataset:
    test = None if dataset.test is None else (dataset.test[0].reshape(len(dataset.test[0]), -1), dataset.test[1])
    return replace(dataset, X=dataset.X.reshape(len(dataset.X), -1), test=test)


def _units(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of columns; bytes are pixels, from 0 to 255; constants are left alone."""
    if values.dtype == np.uint8:
        return np.zeros(1), np.full(1, 255.0)
    mean, scale = np.atleast_1d(values.mean(axis=0)), np.atleast_1d(values.std(axis=0))
    return mean, np.where(scale > 1e-12 * np.abs(mean), scale, 1.0)
