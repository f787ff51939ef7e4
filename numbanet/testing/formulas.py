"""Checks of activations, losses and regularizers."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from numbanet.backend import kernel_text
from numbanet.layers import Apply, Dense
from numbanet.model import Sequential
from numbanet.registry import entries, get
from numbanet.spec import Activation, Loss, Plugin, Regularizer, limits
from numbanet.testing.report import Report, slope_error
from numbanet.trainer import Trainer

TYPES = {"float32": 2e-5, "float64": 1e-12}
POINTS = np.concatenate([
    np.random.default_rng(0).normal(0, 3, 60), np.arange(-8, 9), [0.5, -0.5, 1e-9, -1e-9, 1e-3, -1e-3, 30, -30]])
EXTREMES = np.array([0.0, -0.0, 1e-30, -1e-30, 1e-6, 50, -50, 1e3, -1e3, 1e4, -1e4])
SLOPE = 1e-4  # relative error of a derivative that differences can tell


def _derivative(spec: Activation | Loss | Regularizer) -> Callable[..., Any]:
    """What is given, as it is, for the report to say where it is wrong; or else what is derived."""
    return cast(Callable[..., Any], spec.derivative or spec.slope)


def check_activation(activation: str | Activation) -> Report:
    """Check an activation.

    It compiles for both types and stays in them; its loop has vectors; compiled and plain Python agree; the derivative
    is that of the function, kinks included; both are finite at extreme numbers, if it claims so; a network through it
    has the right gradient; a model with it can be saved and loaded; rows of inputs are not changed.

    Parameters
    ----------
    activation : str or Activation
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
    spec: Activation = get("activation", activation)
    report, params = Report(f"activation '{spec.name}'"), tuple(spec.params.values())
    model = Sequential([Apply(spec)], input_shape=(len(POINTS),))
    X = np.stack([POINTS, POINTS[::-1] / 2])
    for dtype, tolerance in TYPES.items():
        with report.checking(f"compiles for {dtype}, and agrees with plain Python"):
            model.astype(dtype)
            inputs = X.astype(dtype)
            _close(model.predict(inputs), _plain(spec, inputs.astype(float), params), inputs, tolerance)
        with report.checking(f"stays in {dtype}, in vectors"):
            _check_code(kernel_text(model.graph, dtype), dtype)
    if spec.row:
        with report.checking("leaves its input alone"):
            x = X.copy()
            _plain(spec, x, params)
            assert np.array_equal(x, X), "forward changed x"
    elif not spec.surrogate:
        slope = lambda x: _derivative(spec)(x, spec.forward(x, *params), *params)
        with report.checking("derivative agrees with differences"):
            worst, _, text = slope_error(lambda x: spec.forward(x, *params), slope, POINTS)
            assert worst < SLOPE, text
        with report.checking("finite at extreme numbers"):
            low, high = limits(spec.finite)
            for point in (float(x) for x in EXTREMES if low <= x <= high):
                values = np.array([spec.forward(point, *params), slope(point)])
                assert np.isfinite(values).all(), f"at {point:g}: value {values[0]}, derivative {values[1]}"
    if (spec.derived or spec.derivative is not None) and not spec.surrogate:
        with report.checking("gradient of a network"):
            _check_gradient([Dense(5, spec), Dense(2)], "mean_squared_error", np.random.default_rng(1).normal(size=2))
    _check_file(report, spec, [Dense(3, spec)])
    return report.finish()


def check_loss(loss: str | Loss) -> Report:
    """Check a loss.

    It compiles for both types; the derivative is that of the loss, for targets of its kind; it is finite for
    large outputs; the gradient of a network is right.

    Parameters
    ----------
    loss : str or Loss
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
    spec: Loss = get("loss", loss)
    report, params, rng = Report(f"loss '{spec.name}'"), tuple(spec.params.values()), np.random.default_rng(0)
    targets = _targets(spec, 24, rng)
    if not spec.row and not spec.surrogate:
        for target in np.unique(targets)[:8]:
            value = lambda output, t=float(target): spec.loss(output, t, *params)
            slope = lambda output, t=float(target): _derivative(spec)(output, t, *params)
            with report.checking(f"derivative agrees with differences for the target {target:.3g}"):
                worst, _, text = slope_error(value, slope, POINTS)
                assert worst < SLOPE, text
    with report.checking("finite for outputs from -30 to 30"):
        rows, gradient = rng.uniform(-30, 30, (24, 3)), np.zeros(3)
        for output, target in zip(rows, _rows(spec, targets), strict=True):
            if spec.row:
                found: Any = [spec.loss(output, target, gradient, *params), *gradient]
            else:
                found = [f(output[0], target[0], *params) for f in (spec.loss, _derivative(spec))]
            assert np.isfinite(found).all(), f"output {output}, target {target}: {found}"
    classes = 3 if spec.targets == "classes" else 2
    if not spec.surrogate:
        with report.checking("gradient of a network"):
            _check_gradient([Dense(4, "tanh"), Dense(classes)], spec, targets)
    for dtype in TYPES:
        with report.checking(f"compiles for {dtype}, and trains"):
            X = np.random.default_rng(1).normal(size=(24, 3))
            trainer = Trainer(Sequential([Dense(classes)]), spec, "adam", dtype=dtype, seed=0)
            y = targets if spec.targets == "classes" else np.stack([targets] * classes, axis=1)
            history = trainer.fit(X, y, epochs=30, batch_size=8, progress=False)
            assert history["loss"][-1] <= history["loss"][0], (
                f"the loss of a linear model rose from {history['loss'][0]:.6g} to {history['loss'][-1]:.6g}"
            )
    return report.finish()


def check_regularizer(regularizer: str | Regularizer) -> Report:
    """Check a regularizer.

    The derivative is that of the penalty; penalty and projection are finite; projecting twice is projecting once,
    unless the regularizer says ``idempotent=False``; the loss of a network includes the penalty, and its gradient
    the derivative; a model with it can be saved and loaded.

    Parameters
    ----------
    regularizer : str or Regularizer
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
    spec: Regularizer = get("regularizer", regularizer)
    report, params = Report(f"regularizer '{spec.name}'"), tuple(spec.params.values())
    if spec.penalty is not None:
        penalty, derivative = spec.penalty, lambda w, *params: _derivative(spec)(w, *params)
        with report.checking("derivative agrees with differences"):
            worst, _, text = slope_error(lambda w: penalty(w, *params), lambda w: derivative(w, *params), POINTS)
            assert worst < SLOPE, text
        with report.checking("finite at extreme numbers"):
            for w in map(float, EXTREMES):
                found: Any = penalty(w, *params), derivative(w, *params)
                assert np.isfinite(found).all(), f"at {w:g}: penalty {found[0]}, derivative {found[1]}"
        with report.checking("gradient of a network"):
            _check_gradient(
                [Dense(4, "tanh"), Dense(2)], "mean_squared_error", np.random.default_rng(1).normal(size=2), spec
            )
    if spec.project is not None:
        with report.checking("projecting twice is projecting once" if spec.idempotent else "projections are finite"):
            rows = np.random.default_rng(2).normal(0, 3, (20, 6))
            once = rows.copy()
            for row in once:
                spec.project(row, *params)
            twice = once.copy()
            for row in twice:
                spec.project(row, *params)
            assert np.isfinite(once).all(), "a projected weight is not finite"
            if spec.idempotent:
                _close(twice, once, rows, 1e-9)
    for dtype in TYPES:
        with report.checking(f"compiles for {dtype}, and trains"):
            rng = np.random.default_rng(1)
            trainer = Trainer(
                Sequential([Dense(4, "tanh"), Dense(1)]), "mean_squared_error", regularizer=spec, dtype=dtype, seed=0
            )
            trainer.fit(rng.normal(size=(24, 3)), rng.normal(size=24), epochs=3, batch_size=8, progress=False)
    _check_file(report, spec, [Dense(3, kernel_regularizer=spec)])
    return report.finish()


def _plain(spec: Activation, X: np.ndarray, params: tuple[float, ...]) -> np.ndarray:
    """Outputs by the formula as it stands."""
    y = np.empty_like(X)
    for i, x in enumerate(X):
        if spec.row:
            spec.forward(x, y[i], *params)
        else:
            y[i] = [spec.forward(float(v), *params) for v in x]
    return y


def _close(found: np.ndarray, expected: np.ndarray, inputs: np.ndarray, tolerance: float) -> None:
    error = np.abs(found - expected) / np.maximum(1, np.abs(expected))
    error[~np.isfinite(expected) & (found == expected)] = 0
    worst = np.unravel_index(np.nanargmax(error), error.shape)
    assert not np.isnan(error).any(), f"NaN at {inputs[np.isnan(error)][0]:g}"
    assert error[worst] < tolerance, (
        f"at {inputs[worst]:.9g}: {found[worst]:.9g}, expected {expected[worst]:.9g}"
    )


def _check_code(code: str | None, dtype: str) -> None:
    """No arithmetic in another type, and vectors."""
    if not code:  # nothing is compiled, or there is nothing to do
        return
    name, other = ("float", "double") if dtype == "float32" else ("double", "float")
    wrong = [line.strip() for line in code.splitlines() if f"x {other}>" in line or f" fmul {other} " in line]
    assert not wrong, f"the compiled loop has {other} numbers: {wrong[0]}"
    # a square root of what may be negative is a call in the rest that a loop of vectors leaves
    calls = sorted(set(re.findall(rf"call [^@\n]*{name} @(?!llvm|sqrtf?\()([\w.]+)\(", code)))
    assert not calls, f"the compiled loop calls {', '.join(calls)} for single numbers, which no vector does"
    assert f"x {name}>" in code, "the compiled loop has no vectors"


def _targets(spec: Loss, n: int, rng: np.random.Generator) -> np.ndarray:
    """Targets of the kind that a loss takes."""
    return {
        "real": lambda: rng.normal(0, 2, n), "positive": lambda: rng.exponential(2, n) + 0.1,
        "nonnegative": lambda: rng.poisson(2, n).astype(float), "binary": lambda: rng.integers(0, 2, n).astype(float),
        "sign": lambda: rng.choice([-1.0, 1.0], n), "classes": lambda: np.arange(n) % 3,
    }[spec.targets]()  # fmt: skip


def _rows(spec: Loss, targets: np.ndarray) -> np.ndarray:
    return np.eye(3)[targets] if spec.targets == "classes" else np.stack([targets] * 3, axis=1)


def _check_gradient(layers: list[Any], loss: Any, targets: np.ndarray, regularizer: Any = None) -> None:
    """Gradient of a small network against central differences, in float64."""
    rng, outputs = np.random.default_rng(3), layers[-1].units
    model = Sequential(layers)
    trainer = Trainer(model, loss, regularizer=regularizer, dtype="float64", seed=0)
    X = rng.normal(size=(6, 3))
    y = targets[:6] if trainer.loss.targets == "classes" else np.resize(targets, (6, outputs))
    trainer.loss_and_gradient(X, y)  # builds the model
    params = model.parameters + rng.normal(0, 0.1, model.graph.size)
    gradient = trainer.loss_and_gradient(X, y, params)[1]
    for i in range(params.size):
        step = np.zeros(params.size)
        step[i] = 1e-5
        numeric = (trainer.loss_and_gradient(X, y, params + step)[0]
                   - trainer.loss_and_gradient(X, y, params - step)[0]) / 2e-5
        error = abs(numeric - gradient[i]) / max(1.0, abs(numeric))
        assert error < SLOPE, f"parameter {i}: gradient {gradient[i]:.9g}, differences {numeric:.9g}"


def _check_file(report: Report, spec: Plugin, layers: list[Any]) -> None:
    """Saved and loaded, if a plugin offers it."""
    known = [entry.spec for _, entry in entries() if (type(entry.spec), entry.spec.name) == (type(spec), spec.name)]
    if all(replace(each, params=spec.params) != spec for each in known):
        return
    from numbanet.store import load

    with report.checking("saved and loaded"), tempfile.TemporaryDirectory() as folder:
        model = Sequential(layers, input_shape=(4,))
        path = Path(folder, "model.numbanet")
        model.save(path)
        X = np.random.default_rng(4).normal(size=(3, 4)).astype("float32")
        assert np.array_equal(load(path).predict(X), model.predict(X)), "the loaded model predicts something else"
