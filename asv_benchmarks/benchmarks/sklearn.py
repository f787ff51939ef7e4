"""How many times longer scikit-learn takes than the estimators with its interface; also a command.

    python -m benchmarks.sklearn --threads 1 --rounds 5

in ``asv_benchmarks/`` prints a table in Markdown. The two take turns on the same cores, each in a process of its own.
Times are medians over the rounds of the best of three calls. Data are the bundled digits, but for L-BFGS.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .workloads import cores, pin

FOLDER = Path(__file__).resolve().parents[1]
MODULES = {"scikit-learn": "sklearn.neural_network", "numbanet": "numbanet.sklearn"}


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


def seconds(library: str, case: str) -> float:
    """Time of a call in this process, the best of three after one that compiles."""
    module = importlib.import_module(MODULES[library])
    times = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of not having converged
        call = CASES[case]()(module)
        for _ in range(4):
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
    return min(times[1:])


def compare(case: str, threads: int, rounds: int) -> tuple[float, float, float]:
    """Seconds of scikit-learn and of numbanet, medians of the rounds, and their ratio.

    Each measurement is a process of its own: threads of scikit-learn's BLAS go on for a while after their work.
    """
    times: dict[str, list[float]] = {"scikit-learn": [], "numbanet": []}
    for _ in range(rounds):
        for library, taken in times.items():
            command = [sys.executable, "-m", "benchmarks.sklearn", "--child", library, case, "--threads", str(threads)]
            environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
            done = subprocess.run(command, capture_output=True, text=True, cwd=FOLDER, env=environment, check=True)
            taken.append(float(done.stdout.splitlines()[-1]))
    theirs, mine = map(statistics.median, times.values())
    return theirs, mine, theirs / mine


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
        return compare(case, threads, 3)[2]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        pin(options.threads)
        print(seconds(*options.child))
        return
    print("| case | scikit-learn, ms | numbanet, ms | ratio |\n|---|---|---|---|")
    for case in CASES:
        theirs, mine, times = compare(case, options.threads, options.rounds)
        calls = 200 if case.endswith("1 row") else 1
        print(f"| {case} | {theirs / calls * 1e3:.3g} | {mine / calls * 1e3:.3g} | {times:.1f} |", flush=True)


if __name__ == "__main__":
    main()
