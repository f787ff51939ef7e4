"""Several networks that answer together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numbanet.checks import listed
from numbanet.trainer import Trainer


class Ensemble:
    """Networks trained for the same task, such as by `fit_many` from different seeds.

    Parameters
    ----------
    trainers : sequence of Trainer
        Trained already.

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there is none.
    """

    def __init__(self, trainers: Sequence[Trainer]) -> None:
        self.trainers = listed(trainers, "trainers", "Trainer objects")
        if not self.trainers:
            raise ValueError("trainers is empty; expected at least one Trainer")
        for i, trainer in enumerate(self.trainers):
            if not isinstance(trainer, Trainer):
                raise TypeError(f"trainers[{i}] must be a Trainer, got {trainer!r}")

    def members(self, X: Any) -> np.ndarray:
        """Predictions of each network.

        Parameters
        ----------
        X : array_like of shape (n, ...)
            Samples.

        Returns
        -------
        ndarray of shape (networks, n, outputs)
            As from `Trainer.predict`.

        Raises
        ------
        ValueError
            If the networks' outputs differ in shape.
        """
        return np.stack([trainer.predict(X) for trainer in self.trainers])

    def predict(self, X: Any) -> np.ndarray:
        """Mean of the networks' predictions.

        Parameters
        ----------
        X : array_like of shape (n, ...)
            Samples.

        Returns
        -------
        ndarray of shape (n, outputs)
            Such as mean probabilities.
        """
        return self.members(X).mean(axis=0)

    def spread(self, X: Any) -> np.ndarray:
        """Standard deviation of the networks' predictions: how much they disagree.

        Parameters
        ----------
        X : array_like of shape (n, ...)
            Samples.

        Returns
        -------
        ndarray of shape (n, outputs)
            In the units of the predictions.
        """
        return self.members(X).std(axis=0)

    def vote(self, X: Any) -> np.ndarray:
        """Class that most networks find the likeliest; of several the first.

        Parameters
        ----------
        X : array_like of shape (n, ...)
            Samples.

        Returns
        -------
        ndarray of int, shape (n,)
            Classes; with one output 1 where it says yes.

        Raises
        ------
        ValueError
            If the networks do not tell classes apart.
        """
        members, loss = self.members(X), self.trainers[0].loss
        if loss.targets not in ("classes", "binary", "sign"):
            raise ValueError(f"vote needs networks that tell classes apart; {loss.name} is for numbers")
        if members.shape[2] == 1:
            votes = (members[:, :, 0] > (0 if loss.targets == "sign" else 0.5)).astype(int)
        else:
            votes = members.argmax(axis=2)
        counts = (votes[..., None] == np.arange(max(2, members.shape[2]))).sum(axis=0)
        return counts.argmax(axis=1)
