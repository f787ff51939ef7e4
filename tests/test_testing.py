"""The checks for those who write plugins: what is right passes, what is wrong is told."""

import math

import numpy as np
import pytest
from numba import config

import numbanet as nn
from numbanet import testing
from numbanet.registry import names
from numbanet.testing import CHECKS

pytest_plugins = ["pytester"]
FEW = config.DISABLE_JIT
CHOSEN = {  # the others' formulas have tests of their own; each compiles anew what it looks at
    "activation": ["relu", "gelu", "softmax", "exponential"], "loss": ["huber", "softmax_cross_entropy", "poisson"],
    "optimizer": ["sgd", "adam"],
}  # fmt: skip
NAMES = [(kind, name) for kind in CHECKS for name in CHOSEN.get(kind, names(kind)) if not (FEW and kind in CHOSEN)]


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_built_ins_pass(kind, name):
    report = CHECKS[kind](name)
    assert report.passed
    assert str(report).startswith(f"{kind} '")


def fails(check, *arguments, match):
    with pytest.raises(AssertionError) as error:
        check(*arguments)
    lines = str(error.value)
    assert match in lines, lines
    return lines


def activation(forward, derivative=None, **options):
    return nn.Activation("tried", forward=forward, derivative=derivative, **options)


def test_a_wrong_derivative():
    text = fails(testing.check_activation, activation(lambda x: x * x, lambda x, y: x), match="FAIL  derivative agrees")
    assert "ok    compiles for float32" in text
    assert "differences give" in text
    assert "FAIL  gradient of a network" in text


def test_kinks_may_have_any_slope_between():
    for at_zero in (lambda x, y: 1.0 if x > 0 else 0.0, lambda x, y: 1.0 if x > 0 else 0.3 if x == 0 else 0.0):
        testing.check_activation(activation(lambda x: max(x, 0.0), at_zero))
    wrong = lambda x, y: 1.0 if x > 0 else 2.0 if x == 0 else 0.0
    fails(testing.check_activation, activation(lambda x: max(x, 0.0), wrong), match="at 0 the derivative is 2")


def test_not_finite():
    fast = activation(lambda x: x * x * x * 1e300, lambda x, y: 3e300 * x * x)
    fails(testing.check_activation, fast, match="FAIL  finite at extreme numbers")
    testing.check_activation(activation(lambda x: 1 / (1 + x * x), lambda x, y: -2 * x * y * y))
    steep = {"forward": lambda x: math.exp(x), "derivative": lambda x, y: y}
    fails(testing.check_activation, activation(**steep), match="FAIL  finite at extreme numbers")
    testing.check_activation(activation(**steep, finite="(-inf, 80]"))
    fails(testing.check_activation, activation(**steep, finite="(-inf, 1000]"), match="FAIL  finite at extreme numbers")
    for wrong in ("80", "(0, x)", "(1, 0)", "", 80):
        with pytest.raises(ValueError, match=r"'tried': finite must be an interval like '\(-inf, 80\]', got"):
            activation(**steep, finite=wrong)


@pytest.mark.compiled
def test_loops_without_vectors():
    spec = activation(lambda x: math.atan(x), lambda x, y: 1 / (1 + x * x))
    fails(testing.check_activation, spec, match="for single numbers, which no vector does")


def test_a_row_that_changes_its_input():
    def forward(x, y):
        for j in range(len(x)):
            y[j] = 2 * x[j]
            x[j] = 0.0

    fails(testing.check_activation, activation(forward, row=True), match="forward changed x")


def test_losses():
    wrong = nn.Loss("tried", loss=lambda o, t: (o - t) ** 2, derivative=lambda o, t: o - t)
    fails(testing.check_loss, wrong, match="FAIL  derivative agrees with differences for the target")
    wild = nn.Loss("tried", loss=lambda o, t: math.exp(o * o) - t, derivative=lambda o, t: 2 * o * math.exp(o * o))
    fails(testing.check_loss, wild, match="FAIL  finite for outputs from -30 to 30")


def test_regularizers():
    wrong = nn.Regularizer("tried", penalty=lambda w: w * w, derivative=lambda w: w)
    fails(testing.check_regularizer, wrong, match="FAIL  derivative agrees")

    def halve(w):
        for j in range(len(w)):
            w[j] = w[j] / 2

    fails(testing.check_regularizer, nn.Regularizer("tried", project=halve), match="FAIL  projecting twice")
    testing.check_regularizer(nn.Regularizer("tried", project=halve, idempotent=False))
    with pytest.raises(TypeError, match="'tried': idempotent=False is said of a project=; give one, or leave it out"):
        nn.Regularizer("tried", penalty=lambda w: w * w, idempotent=False)


def test_square_root_of_what_may_be_negative():
    """LLVM calls the C library in the rest of a loop, but the loop has vectors."""
    root = nn.Activation("tried", forward=lambda x, b: math.sqrt(x * x + b),
                         derivative=lambda x, y, b: x / y, params={"b": 1.0})  # fmt: skip
    testing.check_activation(root)


@pytest.mark.compiled
def test_optimizers():
    uphill = nn.Optimizer("tried", update=lambda w, g, learning_rate: w + learning_rate * g,
                          params={"learning_rate": 1e-3})  # fmt: skip
    fails(testing.check_optimizer, uphill, match="FAIL  learns a linear regression in float32")
    restless = nn.Optimizer("tried", update=lambda w, g, learning_rate: w - learning_rate * (g + 0.1),
                            params={"learning_rate": 1e-2})  # fmt: skip
    fails(testing.check_optimizer, restless, match="FAIL  a gradient of zero moves nothing")


def test_schedules_initializers_metrics():
    below = nn.Schedule("tried", rate=lambda step, learning_rate: learning_rate - 0.01 * step)
    fails(testing.check_schedule, below, match="the rate of step 11 is -0.0")
    stuck = nn.Schedule("tried", adapt=lambda factor, error, previous: (0.0, True))
    fails(testing.check_schedule, stuck, match="factor 0.0")
    own = np.random.default_rng(0)
    moody = nn.Initializer("tried", sample=lambda rng, shape, fan_in, fan_out: own.normal(size=shape))
    fails(testing.check_initializer, moody, match="draw from rng alone")
    heavy = nn.Metric("tried", compute=lambda y, p, w: (abs(p).max(axis=1) * w).sum())
    fails(testing.check_metric, heavy, match="with weights of 2.5")


@pytest.mark.compiled
def test_numba_names_the_authors_line():
    def twice(x):
        y = 2 * x
        return y if y > 0 else (y, y)  # not compiled

    def calls(x):
        return twice(x) + 1

    line = twice.__code__.co_firstlineno + 2
    text = fails(testing.check_activation, activation(calls, lambda x, y: 1.0), match="FAIL  compiles for float32")
    assert f"{__file__}:{line}: formula 'test_numba_names_the_authors_line.<locals>.twice' can't be compiled: " in text
    assert "Cannot unify" in text
    assert "nopython" not in text


def test_files_of_regularizers():
    report = testing.check_regularizer("l2")
    assert report.findings[-1].check == "saved and loaded"
    report = testing.check_regularizer(nn.Regularizer("tried", penalty=lambda w: w * w))
    assert report.findings[-1].check != "saved and loaded"  # it has no name


def test_a_name_that_is_no_plugins():
    with pytest.raises(ValueError, match="unknown activation 'tanch'; did you mean 'tanh'"):
        testing.check_activation("tanch")


def test_option_of_pytest(pytester):
    result = pytester.runpytest_inprocess("-v", "--numbanet-plugin", "relu", "--numbanet-plugin", "numbanet:l2")
    result.assert_outcomes(passed=2)
    result = pytester.runpytest_inprocess("--numbanet-plugin", "nobodys")
    assert "no plugin offers 'nobodys'" in "".join(result.errlines + result.outlines)
