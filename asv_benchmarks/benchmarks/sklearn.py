"""How many times longer scikit-learn takes than the estimators with its interface; also a command.

    python -m benchmarks.sklearn --threads 1 --rounds 5

in ``asv_benchmarks/`` prints a table in Markdown. The two take turns, on the same cores, and the best time of each
counts.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .workloads import cores, pin


def digits(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """The bundled digits, from 0 to 1."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(dtype), y


def fit(dtype: str, name: str = "MLPClassifier", **options: Any) -> Callable[[Any], Callable[[], object]]:
    """What fits the digits."""
    X, y = digits(dtype)

    def of(module: Any) -> Callable[[], object]:
        return lambda: getattr(module, name)(random_state=0, **options).fit(X, y)

    return of


def predict(rows: int) -> Callable[[Any], Callable[[], object]]:
    """What predicts probabilities of digits."""
    X, y = digits("float64")
    samples = np.resize(X, (rows, X.shape[1]))
    calls = 200 if rows == 1 else 1

    def of(module: Any) -> Callable[[], object]:
        model = module.MLPClassifier(max_iter=2, random_state=0).fit(X, y)
        return lambda: [model.predict_proba(samples) for _ in range(calls)]

    return of


def regression(module: Any) -> Callable[[], object]:
    """L-BFGS on a linear regression of 10,000 samples with 20 features."""
    from sklearn.datasets import make_regression

    X, y = make_regression(10_000, 20, noise=10, random_state=0)
    y /= y.std()
    return lambda: module.MLPRegressor(solver="lbfgs", max_iter=30, random_state=0).fit(X, y)


CASES: dict[str, Callable[[], Callable[[Any], Callable[[], object]]]] = {
    "defaults, digits, float64": lambda: fit("float64", max_iter=20),
    "defaults, digits, float32": lambda: fit("float32", max_iter=20),
    "SGD, digits, float64": lambda: fit("float64", max_iter=20, solver="sgd"),
    "SGD, digits, float32": lambda: fit("float32", max_iter=20, solver="sgd"),
    "Adam, batch 32, digits, float64": lambda: fit("float64", max_iter=5, batch_size=32),
    "Adam, batch 32, digits, float32": lambda: fit("float32", max_iter=5, batch_size=32),
    "SGD, batch 32, digits, float64": lambda: fit("float64", max_iter=5, batch_size=32, solver="sgd"),
    "SGD, batch 32, digits, float32": lambda: fit("float32", max_iter=5, batch_size=32, solver="sgd"),
    "early stopping, digits, float64": lambda: fit("float64", max_iter=20, early_stopping=True),
    "predict_proba, 1 row": lambda: predict(1),
    "predict_proba, 100,000 rows": lambda: predict(100_000),
    "L-BFGS, 10,000 x 20": lambda: regression,
}


def ratio(case: str, rounds: int = 3) -> tuple[float, float, float]:
    """Seconds of scikit-learn and of numbanet, the best of some rounds, and the median of the rounds' ratios."""
    import sklearn.neural_network

    import numbanet.sklearn

    of = CASES[case]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of not having converged
        calls = [of(module) for module in (sklearn.neural_network, numbanet.sklearn)]
        times: list[list[float]] = [[], []]
        for number in range(rounds + 1):  # the first compiles, and is not counted
            for call, taken in zip(calls, times, strict=True):
                began = time.perf_counter()
                call()
                if number:
                    taken.append(time.perf_counter() - began)
    theirs, mine = times
    return min(theirs), min(mine), statistics.median(a / b for a, b in zip(theirs, mine, strict=True))


class ScikitLearn:
    """scikit-learn's time divided by numbanet's."""

    params = (list(CASES), [1, 2])
    param_names = ["case", "threads"]
    unit = "times numbanet's time"
    timeout = 300

    def setup(self, case: str, threads: int) -> None:
        if threads > cores():
            raise NotImplementedError(f"{threads} threads want {threads} cores")

    def track_ratio(self, case: str, threads: int) -> float:
        from threadpoolctl import threadpool_limits

        pin(threads)
        with threadpool_limits(threads):
            return ratio(case)[2]


def main() -> None:
    """Print the table."""
    from threadpoolctl import threadpool_limits

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    pin(options.threads)
    print("| case | scikit-learn, ms | numbanet, ms | ratio |\n|---|---|---|---|")
    with threadpool_limits(options.threads):
        for case in CASES:
            theirs, mine, times = ratio(case, options.rounds)
            calls = 200 if case.endswith("1 row") else 1
            print(f"| {case} | {theirs * 1e3 / calls:.3g} | {mine * 1e3 / calls:.3g} | {times:.1f} |", flush=True)


if __name__ == "__main__":
    main()
