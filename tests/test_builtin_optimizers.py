"""Optimisers against slow, obvious steps from their papers; schedules at their landmarks."""

import math
import re

import numpy as np
import pytest

from numbanet import builtins, registry
from numbanet.builtins import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    AMSGrad,
    BoldDriver,
    ConstantSchedule,
    CosineDecay,
    ExponentialDecay,
    InverseTimeDecay,
    Lion,
    Nadam,
    OneCycle,
    PolynomialDecay,
    RMSprop,
    Rprop,
    StepDecay,
)
from numbanet.builtins.optimizers import numbanet_optimizers
from numbanet.builtins.schedules import numbanet_schedules

NAMES = sorted(spec.name for spec in numbanet_optimizers())
GRADIENTS = np.random.default_rng(0).normal(size=(12, 5)) * [1, 1e-3, 10, 1, 0]
START = np.array([0.5, -1.0, 2.0, 0.0, 1.0])


def trajectory(optimizer):
    """Weights after each step, by the optimiser's own formulas."""
    weights = []
    for w, gradients in zip(START, GRADIENTS.T, strict=True):
        w, states, path = float(w), list(optimizer.states.values()), []
        for step, g in enumerate(gradients, 1):
            values = optimizer.params.values()
            coefficients = optimizer.coefficients(step, *values) if optimizer.coefficients else ()
            result = optimizer.update(w, float(g), *states, *coefficients, *values)
            w, *states = result if states else (result,)
            path.append(w)
        weights.append(path)
    return np.array(weights).T


# The references: whole arrays, everything from the first gradient on.

def sgd(w, lr=0.1):
    for g in GRADIENTS:
        w = w - lr * g
        yield w


def momentum(w, lr=0.1, mu=0.8):
    for t in range(len(GRADIENTS)):
        w = w - lr * sum(mu ** (t - s) * GRADIENTS[s] for s in range(t + 1))
        yield w


def nesterov(w, lr=0.1, mu=0.8):
    """Sutskever's form, at the point that is looked up ahead."""
    v = np.zeros_like(w)
    position = w
    for g in GRADIENTS:  # the gradient is taken at position + mu v, which is what the optimiser holds
        v = mu * v - lr * g
        position = position + v
        yield position + mu * v


def moving_averages(beta, values):
    return [(1 - beta) * sum(beta ** (t - s) * values[s] for s in range(t + 1)) for t in range(len(values))]


def rmsprop(w, lr=0.01, rho=0.8, eps=1e-8):
    for g, square in zip(GRADIENTS, moving_averages(rho, GRADIENTS**2), strict=True):
        w = w - lr * g / (np.sqrt(square) + eps)
        yield w


def adagrad(w, lr=0.1, eps=1e-10):
    for t, g in enumerate(GRADIENTS):
        w = w - lr * g / (np.sqrt(sum(GRADIENTS[: t + 1] ** 2)) + eps)
        yield w


def adadelta(w, lr=1.0, rho=0.9, eps=1e-6):
    squares = moving_averages(rho, GRADIENTS**2)
    steps = [np.zeros_like(w)]
    for g, square in zip(GRADIENTS, squares, strict=True):
        past = moving_averages(rho, [s**2 for s in steps])[-1]
        steps.append(-np.sqrt(past + eps) / np.sqrt(square + eps) * g)
        w = w + lr * steps[-1]
        yield w


def corrected(beta, values):
    return [m / (1 - beta**t) for t, m in enumerate(moving_averages(beta, values), 1)]


def adam(w, lr=0.01, b1=0.8, b2=0.95, eps=1e-8, weight_decay=0.0):
    for m, v in zip(corrected(b1, GRADIENTS), corrected(b2, GRADIENTS**2), strict=True):
        w = w - lr * weight_decay * w - lr * m / (np.sqrt(v) + eps)
        yield w


def adamw(w):
    return adam(w, weight_decay=0.3)


def amsgrad(w, lr=0.01, b1=0.8, b2=0.95, eps=1e-8):
    largest = np.maximum.accumulate(moving_averages(b2, GRADIENTS**2))
    for t, (m, v) in enumerate(zip(corrected(b1, GRADIENTS), largest, strict=True), 1):
        w = w - lr * m / (np.sqrt(v / (1 - b2**t)) + eps)
        yield w


def nadam(w, lr=0.01, b1=0.8, b2=0.95, eps=1e-8):
    means = moving_averages(b1, GRADIENTS)
    for t, (g, m, v) in enumerate(zip(GRADIENTS, means, corrected(b2, GRADIENTS**2), strict=True), 1):
        mean = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        w = w - lr * mean / (np.sqrt(v) + eps)
        yield w


def lion(w, lr=0.01, b1=0.8, b2=0.95, weight_decay=0.3):
    means = [np.zeros_like(w), *moving_averages(b2, GRADIENTS)]
    for g, m in zip(GRADIENTS, means, strict=False):
        w = w - lr * (np.sign(b1 * m + (1 - b1) * g) + weight_decay * w)
        yield w


def rprop(w):
    sizes, last = np.full_like(w, 0.1), np.zeros_like(w)
    for g in GRADIENTS.copy():
        for i in range(len(w)):
            if g[i] * last[i] > 0:
                sizes[i] = min(sizes[i] * 1.2, 0.15)
            elif g[i] * last[i] < 0:
                sizes[i] = max(sizes[i] * 0.5, 0.03)
                g[i] = 0
        w = w - np.sign(g) * sizes
        last = g
        yield w


CASES = [
    (SGD(0.1), sgd),
    (SGD(0.1, 0.8), momentum),
    (RMSprop(0.01, 0.8), rmsprop),
    (Adagrad(0.1), adagrad),
    (Adadelta(), adadelta),
    (Adam(0.01, 0.8, 0.95), adam),
    (AdamW(0.01, 0.8, 0.95, weight_decay=0.3), adamw),
    (AMSGrad(0.01, 0.8, 0.95), amsgrad),
    (Nadam(0.01, 0.8, 0.95), nadam),
    (Lion(0.01, 0.8, 0.95, 0.3), lion),
    (Rprop(0.1, smallest=0.03, largest=0.15), rprop),
    (SGD(0.1, 0.8, nesterov=True), nesterov),
]


@pytest.mark.parametrize(("optimizer", "reference"), CASES, ids=lambda case: getattr(case, "name", ""))
def test_steps(optimizer, reference):
    np.testing.assert_allclose(trajectory(optimizer), list(reference(START)), rtol=1e-12, atol=1e-14)


def test_every_optimizer_is_tested():
    assert sorted(optimizer.name for optimizer, _ in CASES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_no_gradient_no_step(name):
    optimizer = registry.get("optimizer", name)
    optimizer = optimizer.with_params(**dict.fromkeys(optimizer.decay, 0.0))
    values = optimizer.params.values()
    coefficients = optimizer.coefficients(1, *values) if optimizer.coefficients else ()
    result = optimizer.update(0.7, 0.0, *optimizer.states.values(), *coefficients, *values)
    assert (result[0] if optimizer.states else result) == 0.7


@pytest.mark.parametrize("name", NAMES)
def test_nan_is_not_hidden_by_an_optimizer(name):
    optimizer = registry.get("optimizer", name)
    values = optimizer.params.values()
    coefficients = optimizer.coefficients(1, *values) if optimizer.coefficients else ()
    result = optimizer.update(0.7, math.nan, *optimizer.states.values(), *coefficients, *values)
    assert math.isnan(result[0] if optimizer.states else result)


@pytest.mark.parametrize("name", ["adam", "adamw", "amsgrad", "nadam"])
def test_corrections_fade(name):
    optimizer = registry.get("optimizer", name)
    late = optimizer.coefficients(10**7, *optimizer.params.values())
    np.testing.assert_allclose(late, [0.9, 0.1, 1] if name == "nadam" else [1, 1], rtol=1e-12)


def test_options():
    schedule = CosineDecay(10)
    for factory in (SGD, RMSprop, Adagrad, Adadelta, Adam, AdamW, AMSGrad, Nadam, Lion):
        optimizer = factory(0.5, schedule=schedule, clip_value=1.0, clip_norm=2.0)
        assert optimizer.params["learning_rate"] == 0.5
        assert (optimizer.schedule, optimizer.clip_value, optimizer.clip_norm) == (schedule, 1.0, 2.0)
    assert SGD().states == {}
    assert AdamW().decay == Lion().decay == ("weight_decay",)


@pytest.mark.parametrize(("factory", "arguments", "message"), [
    ("SGD", {"learning_rate": -1}, "sgd: parameter 'learning_rate' must be in [0, inf), got -1.0"),
    ("SGD", {"momentum": 1.0}, "momentum: parameter 'momentum' must be in [0, 1), got 1.0"),
    ("SGD", {"nesterov": True}, "nesterov=True needs momentum above 0"),
    ("SGD", {"learning_rate": math.nan}, "'learning_rate' must be finite, got nan"),
    ("RMSprop", {"rho": 1.5}, "'rho' must be in [0, 1), got 1.5"),
    ("Adagrad", {"epsilon": 0}, "'epsilon' must be in (0, inf), got 0.0"),
    ("Adadelta", {"rho": -0.1}, "'rho' must be in [0, 1), got -0.1"),
    ("Adam", {"beta1": 1}, "'beta1' must be in [0, 1), got 1.0"),
    ("AMSGrad", {"beta2": 2}, "'beta2' must be in [0, 1), got 2.0"),
    ("Nadam", {"epsilon": -1e-8}, "'epsilon' must be in (0, inf), got -1e-08"),
    ("AdamW", {"weight_decay": -0.1}, "'weight_decay' must be in [0, inf), got -0.1"),
    ("Lion", {"clip_norm": 0}, "clip_norm must be positive, got 0"),
    ("Adam", {"clip_value": -1}, "clip_value must be positive, got -1"),
    ("Rprop", {"learning_rate": 0}, "'learning_rate' must be in (0, inf), got 0.0"),
    ("Rprop", {"decrease": 1.0}, "'decrease' must be in (0, 1), got 1.0"),
    ("Rprop", {"increase": 1.0}, "'increase' must be in (1, inf), got 1.0"),
    ("Rprop", {"smallest": 1.0, "largest": 0.5}, "'largest' must be in [smallest, inf), got 0.5"),
    ("StepDecay", {"step_size": 0}, "'step_size' must be in [1, inf), got 0.0"),
    ("StepDecay", {"step_size": 10, "factor": 0}, "'factor' must be in (0, inf), got 0.0"),
    ("ExponentialDecay", {"decay_steps": 10, "decay_rate": -1}, "'decay_rate' must be in (0, inf), got -1.0"),
    ("InverseTimeDecay", {"decay_steps": 10, "decay_rate": -1}, "'decay_rate' must be in [0, inf), got -1.0"),
    ("PolynomialDecay", {"decay_steps": 10, "power": 0}, "'power' must be in (0, inf), got 0.0"),
    ("CosineDecay", {"decay_steps": 10, "warmup_steps": -1}, "'warmup_steps' must be in [0, inf), got -1.0"),
    ("CosineDecay", {"decay_steps": 10, "end_learning_rate": -1}, "'end_learning_rate' must be in [0, inf), got -1.0"),
    ("OneCycle", {"total_steps": 1}, "'total_steps' must be in [2, inf), got 1.0"),
    ("OneCycle", {"total_steps": 10, "pct_start": 1}, "'pct_start' must be in [0, 1), got 1.0"),
    ("BoldDriver", {"increase": 0.9}, "'increase' must be in [1, inf), got 0.9"),
    ("BoldDriver", {"decrease": 0}, "'decrease' must be in (0, 1), got 0.0"),
])
def test_bad_value(factory, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(builtins, factory)(**arguments)


def test_bad_type():
    with pytest.raises(TypeError, match=r"adam: parameter 'learning_rate' must be a number, got '0\.1'"):
        Adam(learning_rate="0.1")


# -- schedules ------------------------------------------------------------------------------

@pytest.mark.parametrize(("schedule", "landmarks"), [
    (ConstantSchedule(), {0: 0.4, 10**6: 0.4}),
    (StepDecay(10, 0.5), {0: 0.4, 9: 0.4, 10: 0.2, 19: 0.2, 20: 0.1}),
    (ExponentialDecay(10, 0.25), {0: 0.4, 5: 0.2, 10: 0.1, 20: 0.025, 10**6: 0}),
    (InverseTimeDecay(10, 3.0), {0: 0.4, 10: 0.1, 30: 0.04}),
    (PolynomialDecay(10, 0.2), {0: 0.4, 5: 0.3, 10: 0.2, 11: 0.2}),
    (PolynomialDecay(10, power=2.0), {0: 0.4, 5: 0.1, 10: 0, 11: 0}),
    (CosineDecay(10), {0: 0.4, 5: 0.2, 10: 0, 11: 0}),
    (CosineDecay(10, warmup_steps=3, end_learning_rate=0.2),
     {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4, 8: 0.3, 13: 0.2, 99: 0.2}),
    (OneCycle(101, pct_start=21 / 101, div_factor=4, final_div_factor=10),
     {0: 0.1, 10: 0.25, 20: 0.4, 60: 0.205, 100: 0.01, 101: 0.01}),
    (OneCycle(2), {0: 0.4, 1: 0.4 / 25e4}),
    (OneCycle(5, pct_start=0), {0: 0.4, 4: 0.4 / 25e4}),
])
def test_schedule(schedule, landmarks):
    rates = {step: schedule.rate(step, 0.4, *schedule.params.values()) for step in landmarks}
    assert rates == pytest.approx(landmarks, abs=1e-15)


def test_every_schedule_is_tested():
    made = (ConstantSchedule(), StepDecay(1), ExponentialDecay(1), InverseTimeDecay(1), PolynomialDecay(1),
            CosineDecay(1), OneCycle(2), BoldDriver())
    assert sorted(schedule.name for schedule in made) == sorted(spec.name for spec in numbanet_schedules())


def test_bold_driver():
    driver = BoldDriver(increase=1.1, decrease=0.5)
    adapt, values = driver.adapt, driver.params.values()
    assert adapt(2.0, 1.0, math.inf, *values) == (2.2, True)
    assert adapt(2.0, 1.0, 1.0, *values) == (2.2, True)
    assert adapt(2.0, 1.1, 1.0, *values) == (1.0, False)
    assert adapt(2.0, math.nan, 1.0, *values) == (1.0, False)
