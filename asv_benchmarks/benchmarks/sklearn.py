"""How many times longer scikit-learn takes than the estimators with its interface; also a command.

    python -m benchmarks.sklearn --threads 1 --rounds 5

in ``asv_benchmarks/`` prints a table in Markdown. The two take turns on the same cores. Times are the best of the
rounds, the ratio is the median over them. Data are the bundled digits, but for L-BFGS.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .workloads import cores, pin


def digits(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """The bundled digits, from 0 to 1."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(dtype), y


def fit(dtype: str, **options: Any) -> Callable[[Any], Callable[[], object]]:
    """What fits the digits."""
    X, y = digits(dtype)

    def of(module: Any) -> Callable[[], object]:
        return lambda: module.MLPClassifier(random_state=0, **options).fit(X, y)

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
    """L-BFGS on a regression of 10,000 samples with 20 features."""
    from sklearn.datasets import make_regression

    X, y = make_regression(10_000, 20, noise=10, random_state=0)
    y /= y.std()
    return lambda: module.MLPRegressor(solver="lbfgs", max_iter=30, random_state=0).fit(X, y)


def cases() -> dict[str, Callable[[], Callable[[Any], Callable[[], object]]]]:
    """What is timed, by name."""
    found: dict[str, Callable[[], Callable[[Any], Callable[[], object]]]] = {}
    for dtype in ("float64", "float32"):
        found |= {
            f"defaults, 100 epochs, {dtype}": partial(fit, dtype, max_iter=100),
            f"SGD, 100 epochs, {dtype}": partial(fit, dtype, max_iter=100, solver="sgd"),
            f"Adam, batch 32, 20 epochs, {dtype}": partial(fit, dtype, max_iter=20, batch_size=32),
            f"SGD, batch 32, 20 epochs, {dtype}": partial(fit, dtype, max_iter=20, batch_size=32, solver="sgd"),
        }
    return {
        **found,
        "early stopping, 30 epochs, float64": partial(fit, "float64", max_iter=30, early_stopping=True, tol=0),
        "predict_proba, 1 row": partial(predict, 1),
        "predict_proba, 100,000 rows": partial(predict, 100_000),
        "L-BFGS, 10,000 x 20": lambda: regression,
    }


CASES = cases()


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
