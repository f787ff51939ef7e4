"""Many networks at once, beside scikit-learn's search."""

from __future__ import annotations

import time
import warnings

import numpy as np

import numbanet as nn

STRENGTHS = np.logspace(-6, -1, 10)


def seconds(call: object) -> float:
    """Of the faster of two calls, after one that warms up."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        call()  # type: ignore[operator]
        times.append(time.perf_counter() - began)
    return min(times[1:])


class Many:
    """A thousand networks of 4-16-3 for 100 epochs of 150 samples."""

    timeout = 120

    def setup(self) -> None:
        rng = np.random.default_rng(0)
        self.X, self.y = rng.normal(size=(150, 4)).astype(np.float32), np.arange(150) % 3
        self.train(2)

    def train(self, count: int) -> None:
        trainers = [
            nn.Trainer(nn.Sequential([nn.Dense(16, "relu"), nn.Dense(3)]), "softmax_cross_entropy", seed=seed)
            for seed in range(count)
        ]
        nn.fit_many(trainers, self.X, self.y, epochs=100, batch_size=32)

    def time_thousand(self) -> None:
        self.train(1000)


class Search:
    """10 strengths of weight decay in 5 folds of the digits: 64 hidden units, 20 epochs."""

    unit = "times numbanet's time"
    timeout = 300

    def setup(self) -> None:
        self.X, self.y = nn.datasets.load_digits()

    def search(self) -> None:
        model = nn.Sequential([nn.Dense(64, "relu"), nn.Dense(10)])
        nn.select_weight_decay(
            model, self.X, self.y, loss="softmax_cross_entropy", strengths=STRENGTHS, folds=5, epochs=20,
            batch_size=200, patience=20,
        )  # fmt: skip

    def time_search(self) -> None:
        self.search()

    def track_ratio_to_scikit_learn(self) -> float:
        from sklearn.model_selection import GridSearchCV
        from sklearn.neural_network import MLPClassifier

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of not having converged
            peer = GridSearchCV(
                MLPClassifier(hidden_layer_sizes=(64,), max_iter=20), {"alpha": STRENGTHS}, cv=5, n_jobs=2
            )
            return seconds(lambda: peer.fit(self.X, self.y)) / seconds(self.search)
