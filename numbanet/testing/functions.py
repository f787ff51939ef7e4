"""Checks of optimisers, schedules, initializers and metrics."""

from __future__ import annotations

import numpy as np

from numbanet.layers import Dense
from numbanet.model import Sequential
from numbanet.registry import get
from numbanet.spec import Initializer, Metric, Optimizer, Schedule
from numbanet.testing.report import Report
from numbanet.trainer import Trainer


def check_optimizer(optimizer: str | Optimizer, *, epochs: int = 200) -> Report:
    """Check an optimiser.

    For both types it lowers the loss of a linear regression; a gradient of zero moves no weight; the same seed
    gives the same bits.

    Parameters
    ----------
    optimizer : str or Optimizer
        Name, or an object, with a learning rate that suits numbers of the size of 1.
    epochs : int, optional
        Of the regression.

    Returns
    -------
    Report
        All findings.

    Raises
    ------
    AssertionError
        If something is wrong; the message is the report.
    """
    spec: Optimizer = get("optimizer", optimizer)
    report, rng = Report(f"optimizer '{spec.name}'"), np.random.default_rng(0)
    X = rng.normal(size=(64, 3))
    y = X @ [1.0, -2.0, 0.5] + 0.3

    def fitted(dtype: str, targets: np.ndarray, count: int) -> Trainer:
        model = Sequential([Dense(1, kernel_initializer="zeros")])
        trainer = Trainer(model, "mean_squared_error", spec, dtype=dtype, seed=0)
        trainer.fit(X, targets, epochs=count, batch_size=16, progress=False)
        return trainer

    for dtype in ("float32", "float64"):
        with report.checking(f"learns a linear regression in {dtype}"):
            trainer = fitted(dtype, y, epochs)
            first, last = trainer.history["loss"][0], trainer.history["loss"][-1]
            assert last < first, f"the loss went from {first:.6g} to {last:.6g} in {epochs} epochs"
    with report.checking("a gradient of zero moves nothing"):
        weights = fitted("float64", np.zeros(64), 3).model.parameters
        assert not weights.any(), f"weights of 0 became {weights}"
    with report.checking("the same seed gives the same bits"):
        one, other = (fitted("float32", y, 3).model.parameters for _ in range(2))
        assert np.array_equal(one, other), "two runs differ"
    return report.finish()


def check_schedule(schedule: str | Schedule, *, steps: int = 2000) -> Report:
    """Check a schedule: rates are finite and not negative, or, where it adapts, factors are positive.

    Parameters
    ----------
    schedule : str or Schedule
        Name, or an object.
    steps : int, optional
        How far to look.

    Returns
    -------
    Report
        All findings.

    Raises
    ------
    AssertionError
        If something is wrong; the message is the report.
    """
    spec: Schedule = get("schedule", schedule)
    report, params = Report(f"schedule '{spec.name}'"), tuple(spec.params.values())
    if spec.rate is not None:
        with report.checking("rates are finite and not negative"):
            for step in range(steps):
                rate = spec.rate(float(step), 0.1, *params)
                assert np.isfinite(rate), f"the rate of step {step} is {rate}"
                assert rate >= 0, f"the rate of step {step} is {rate}"
    if spec.adapt is not None:
        with report.checking("factors are positive"):
            for error, previous in ((1.0, 2.0), (2.0, 1.0), (1.0, np.inf), (np.inf, 1.0)):
                factor, keep = spec.adapt(1.0, error, previous, *params)
                assert np.isfinite(factor), f"errors {error}, {previous}: factor {factor}"
                assert factor > 0, f"errors {error}, {previous}: factor {factor}"
                assert keep in (True, False), f"expected whether to keep the epoch, got {keep!r}"
    return report.finish()


def check_initializer(initializer: str | Initializer) -> Report:
    """Check an initializer: shape, finite numbers, and the same ones from the same generator.

    Parameters
    ----------
    initializer : str or Initializer
        Name, or an object.

    Returns
    -------
    Report
        All findings.

    Raises
    ------
    AssertionError
        If something is wrong; the message is the report.
    """
    spec: Initializer = get("initializer", initializer)
    report, params = Report(f"initializer '{spec.name}'"), tuple(spec.params.values())
    for shape in ((7, 3), (3, 7), (3, 3, 2, 5), (5,)):
        with report.checking(f"shape {shape}"):
            fan_in, fan_out = int(np.prod(shape[:-1])), shape[-1]
            values = [
                np.broadcast_to(spec.sample(np.random.default_rng(0), shape, fan_in, fan_out, *params), shape)
                for _ in range(2)
            ]
            assert np.isfinite(values[0]).all(), "a value is not finite"
            assert np.array_equal(values[0], values[1]), "the same generator gives other values: draw from rng alone"
    return report.finish()


def check_metric(metric: str | Metric) -> Report:
    """Check a metric: one finite number, the same for all weights of one size, and nothing is changed.

    Parameters
    ----------
    metric : str or Metric
        Name, or an object.

    Returns
    -------
    Report
        All findings.

    Raises
    ------
    AssertionError
        If something is wrong; the message is the report.
    """
    spec: Metric = get("metric", metric)
    report, params, rng = Report(f"metric '{spec.name}'"), tuple(spec.params.values()), np.random.default_rng(0)
    outputs = rng.random((30, 3))
    outputs /= outputs.sum(axis=1, keepdims=True)
    tries = {"labels": (np.arange(30) % 3, outputs), "numbers": (rng.normal(size=(30, 1)), rng.normal(size=(30, 1)))}
    problems: dict[str, str] = {}
    for name, (target, prediction) in tries.items():
        kept = target.copy(), prediction.copy()
        try:
            values = [float(spec.compute(target, prediction, np.full(30, weight), *params)) for weight in (1.0, 2.5)]
        except Exception as error:
            problems[name] = f"{name}: {type(error).__name__}: {error}"
            continue
        if not np.isfinite(values).all() or not np.isclose(values[0], values[1], rtol=1e-6):
            problems[name] = f"{name}: {values[0]} with weights of 1, {values[1]} with weights of 2.5"
        if not all(map(np.array_equal, kept, (target, prediction))):
            problems[name] = f"{name}: it changes what it is given"
    with report.checking("a finite number that weights of one size don't change, for labels or for numbers"):
        assert len(problems) < len(tries), "\n".join(problems.values())
    return report.finish()
