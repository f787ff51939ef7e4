"""Formulas of activations and regularizers, run as the plain Python they are written in."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from scipy.optimize import approx_fprime

from numbanet import builtins, registry
from numbanet.builtins.activations import numbanet_activations
from numbanet.spec import Activation, Optimizer

inf, nan = math.inf, math.nan
ORDINARY = np.concatenate([np.linspace(-8, 8, 65), np.random.default_rng(0).normal(scale=3, size=100)])
EXTREME = [0.0, -0.0, 5e-324, -5e-324, 1e-300, 1e-20, -1e-20, 50.0, -50.0, 1e4, -1e4, 1e30, -1e30, 1.7e308, -1.7e308]


def slope(function, x):
    h = 1e-5 * max(1.0, abs(x))
    return (function(x + h) - function(x - h)) / (x + h - (x - h))


# -- activations ----------------------------------------------------------------------------

ACTIVATIONS = {  # a formula of its own, the values at -inf and inf, and the kinks
    "identity": (lambda x: x, -inf, inf, ()),
    "step": (lambda x: np.heaviside(x, 1), 0, 1, (0,)),
    "sigmoid": (special.expit, 0, 1, ()),
    "tanh": (np.tanh, -1, 1, ()),
    "scaled_tanh": (lambda x: 1.7159 * np.tanh(2 / 3 * x), -1.7159, 1.7159, ()),
    "relu": (lambda x: np.maximum(x, 0), 0, inf, (0,)),
    "leaky_relu": (lambda x: np.where(x > 0, x, 0.01 * x), -inf, inf, (0,)),
    "relu6": (lambda x: np.clip(x, 0, 6), 0, 6, (0, 6)),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), -1, inf, (0,)),
    "celu": (lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), -1, inf, (0,)),
    "selu": (lambda x: 1.05070098735548 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
             -1.7580993408473766, inf, (0,)),
    "gelu": (lambda x: np.maximum(x, -1e3) * special.ndtr(x), 0, inf, ()),
    "gelu_tanh": (lambda x: np.maximum(x, -1e3) * special.expit(
        np.sqrt(8 / np.pi) * (np.clip(x, -1e3, 1e3) + 0.044715 * np.clip(x, -1e3, 1e3) ** 3)), 0, inf, ()),
    "silu": (lambda x: np.maximum(x, -1e3) * special.expit(x), 0, inf, ()),
    "swish": (lambda x: np.maximum(x, -1e3) * special.expit(x), 0, inf, ()),
    "mish": (lambda x: np.maximum(x, -1e3) * np.tanh(np.logaddexp(0, x)), 0, inf, ()),
    "softplus": (lambda x: np.logaddexp(0, x), 0, inf, ()),
    "softsign": (lambda x: x / (1 + abs(x)), -1, 1, (0,)),  # the slope has a kink
    "hard_sigmoid": (lambda x: np.clip(x / 6 + 0.5, 0, 1), 0, 1, (-3, 3)),
    "hard_tanh": (lambda x: np.clip(x, -1, 1), -1, 1, (-1, 1)),
    "hard_silu": (lambda x: np.maximum(x, -1e3) * np.clip(x / 6 + 0.5, 0, 1), 0, inf, (-3, 3)),
    "exponential": (np.exp, 0, inf, ()),
}
KINK = {"step": 0, "relu": 0, "leaky_relu": 0.01, "relu6": 0, "elu": 1, "celu": 1, "selu": 1.7580993408473766}


def test_every_activation_is_tested():
    assert sorted(spec.name for spec in numbanet_activations() if not spec.row) == sorted(ACTIVATIONS)


def formulas(name, **params):
    spec = registry.get("activation", name, **params)
    values = spec.params.values()
    return lambda x: spec.forward(x, *values), lambda x, y: spec.slope(x, y, *values)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name):
    forward, _ = formulas(name)
    reference = ACTIVATIONS[name][0]
    points = [x for x in [*ORDINARY, *EXTREME] if name != "exponential" or x < 700]
    np.testing.assert_allclose([forward(x) for x in points], reference(np.array(points)), rtol=4e-14, atol=5e-324)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivative_of_activation(name):
    forward, derivative = formulas(name)
    points = [x for x in ORDINARY if all(abs(x - kink) > 1e-3 for kink in ACTIVATIONS[name][3])]
    np.testing.assert_allclose([derivative(x, forward(x)) for x in points], [slope(forward, x) for x in points],
                               rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("name", "param", "value"), [
    ("leaky_relu", "alpha", 0.3), ("leaky_relu", "alpha", -0.5), ("leaky_relu", "alpha", 0), ("elu", "alpha", 0.5),
    ("elu", "alpha", -0.5), ("elu", "alpha", 0), ("celu", "alpha", 0.5), ("celu", "alpha", 3), ("silu", "beta", 2.5),
    ("silu", "beta", 0.1), ("silu", "beta", 0),
])
def test_derivative_of_activation_with_parameter(name, param, value):
    forward, derivative = formulas(name, **{param: value})
    points = [x for x in ORDINARY if abs(x) > 1e-3]
    np.testing.assert_allclose([derivative(x, forward(x)) for x in points], [slope(forward, x) for x in points],
                               rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_at_infinity_and_nan(name):
    forward, derivative = formulas(name)
    _, low, high, _ = ACTIVATIONS[name]
    assert forward(-inf) == pytest.approx(low, rel=1e-15)
    assert forward(inf) == pytest.approx(high, rel=1e-15)
    assert math.isnan(forward(nan))
    if name != "exponential":
        for sign in (-1, 1):
            assert derivative(sign * inf, forward(sign * inf)) == pytest.approx(slope(forward, sign * 1e4), abs=1e-6)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"exponential"}))
@given(x=st.floats(allow_nan=False))
@settings(deadline=None, max_examples=50)
def test_activation_never_overflows(name, x):
    forward, derivative = formulas(name)
    y = forward(x)
    assert not math.isnan(y)
    assert math.isfinite(derivative(x, y))
    if math.isfinite(x) and name != "selu":  # which stretches the largest numbers to infinity
        assert math.isfinite(y)


@pytest.mark.parametrize(("name", "expected"), KINK.items())
def test_derivative_at_kink(name, expected):
    forward, derivative = formulas(name)
    assert derivative(0.0, forward(0.0)) == pytest.approx(expected, rel=1e-15)


# -- rows -----------------------------------------------------------------------------------

ROWS = [[0.3, -1.2, 2.0, 0.0], [1e4, -1e4, 0.0], [1e4, 1e4], [-3e38, 3e38], [5.0], [1e-300, -1e-300, 0.0]]


def forward_row(name, x):
    y = [nan] * len(x)
    registry.get("activation", name).forward(x, y)
    return y


@pytest.mark.parametrize("x", ROWS)
def test_softmax(x):
    np.testing.assert_allclose(forward_row("softmax", x), special.softmax(x), rtol=1e-14)
    np.testing.assert_allclose(forward_row("log_softmax", x), special.log_softmax(x), rtol=1e-14)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_derivative_of_row(name):
    rng = np.random.default_rng(1)
    x, direction = rng.normal(scale=2, size=(2, 5))
    gradient = direction.copy()
    registry.get("activation", name).derivative(x, forward_row(name, x), gradient)
    expected = approx_fprime(x, lambda v: direction @ forward_row(name, v), 1e-7)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_nan_fills_the_row(name):
    for x in ([nan, 1.0], [1.0, nan], [nan]):
        assert np.isnan(forward_row(name, x)).all()


# -- regularizers ---------------------------------------------------------------------------

@pytest.mark.parametrize(("name", "reference"), [
    ("l1", lambda w: 0.3 * abs(w)), ("l2", lambda w: 0.15 * w**2),
    ("elastic_net", lambda w: 0.3 * (0.5 * abs(w) + 0.25 * w**2)),
])
def test_penalty(name, reference):
    spec = registry.get("regularizer", name, strength=0.3)
    values = spec.params.values()
    for w in (-3.0, -0.01, 0.2, 5.0):
        assert spec.penalty(w, *values) == pytest.approx(reference(w), rel=1e-14)
        assert spec.slope(w, *values) == pytest.approx(slope(reference, w), rel=1e-7)
    assert spec.penalty(0.0, *values) == 0
    assert spec.slope(0.0, *values) == 0


def test_max_norm():
    project = registry.get("regularizer", "max_norm").project
    w = np.array([3.0, -4.0])
    project(w, 2.0)
    np.testing.assert_allclose(w, [1.2, -1.6])
    for short in ([0.3, -0.4], [0.0, 0.0]):
        w = np.array(short)
        project(w, 2.0)
        np.testing.assert_array_equal(w, short)


@pytest.mark.parametrize(("factory", "argument", "value", "message"), [
    ("L1", "strength", -1, r"l1: parameter 'strength' must be in \[0, inf\), got -1\.0"),
    ("L2", "strength", nan, "l2: parameter 'strength' must be finite, got nan"),
    ("ElasticNet", "l1_ratio", 1.5, r"'l1_ratio' must be in \[0, 1\], got 1\.5"),
    ("MaxNorm", "limit", 0, r"'limit' must be in \(0, inf\), got 0\.0"),
])
def test_bad_regularizer(factory, argument, value, message):
    with pytest.raises(ValueError, match=message):
        getattr(builtins, factory)(**{argument: value})


def test_regularizer_factories():
    assert not builtins.L2().biases
    assert builtins.L1(1e-3, biases=True).biases
    assert builtins.ElasticNet(0.1, 0.2).params == {"strength": 0.1, "l1_ratio": 0.2}
    assert builtins.MaxNorm(2).params == {"limit": 2}


# -- bounds ---------------------------------------------------------------------------------

@pytest.mark.parametrize(("kind", "name", "parameter", "good", "bad"), [
    ("activation", "celu", "alpha", 0.1, 0), ("activation", "swish", "beta", 0.1, -1),
    ("loss", "huber", "delta", 0.1, 0), ("loss", "quantile", "q", 0.9, 5),
    ("loss", "softmax_cross_entropy", "label_smoothing", 1, 1.1), ("loss", "focal", "gamma", 0, -1),
    ("regularizer", "l2", "strength", 0, -1), ("optimizer", "adam", "beta1", 0, 1),
    ("optimizer", "momentum", "momentum", 0, 1), ("optimizer", "sgd", "learning_rate", 0, -1e-9),
    ("optimizer", "rprop", "largest", 1e-6, 1e-7), ("optimizer", "rprop", "smallest", 50, 51),
    ("schedule", "cosine", "decay_steps", 1, 0), ("initializer", "uniform", "low", 0.05, 0.06),
    ("metric", "top_k_accuracy", "k", 1, 0),
])
def test_bounds_hold_by_name(kind, name, parameter, good, bad):
    spec = registry.get(kind, name)
    assert registry.get(kind, name, **{parameter: good}).params[parameter] == good
    for change in (spec.with_params, lambda **params: registry.get(kind, name, **params)):
        with pytest.raises(ValueError, match=rf"{name}: parameter '\w+' must be in "):
            change(**{parameter: bad})


def test_own_bounds():
    def own(**bounds):
        return Activation("own", forward=lambda x, low, high: x, params={"low": -1, "high": 1}, bounds=bounds)
    spec = own(low="[-inf, high)")
    assert pickle.loads(pickle.dumps(registry.get("loss", "huber"))) == registry.get("loss", "huber")
    assert spec.with_params(low=-2).bounds == spec.bounds == {"low": "[-inf, high)"}
    assert spec.with_params(low=2, high=3).params == {"low": 2, "high": 3}
    with pytest.raises(ValueError, match=r"own: parameter 'low' must be in \[-inf, high\), got 1\.0"):
        spec.with_params(low=1)
    with pytest.raises(TypeError, match="own: bounds name 'alpha', which is not among params"):
        own(alpha="[0, 1]")
    for wrong in ("", "0, 1", "[0, 1", "[0; 1]", "[0, alpha]", "[0, 1, 2]", 5):
        with pytest.raises(ValueError, match=r"own: bounds of 'low' must be like '\[0, 1\)', got "):
            own(low=wrong)


def test_own_optimizer():
    def own(**options):
        return Optimizer("own", update=lambda w, g, learning_rate: w, params={"learning_rate": 1}, **options)
    with pytest.raises(ValueError, match=r"'learning_rate' must be in \[0, inf\), got -1\.0"):
        own().with_params(learning_rate=-1)
    assert own(bounds={"learning_rate": "[-1, 1]"}).with_params(learning_rate=-1).params["learning_rate"] == -1
    limited = own(clip_value=1, clip_norm=np.float32(2))
    assert type(limited.clip_value) is type(limited.clip_norm) is float
    with pytest.raises(TypeError, match="Optimizer 'own': decay names 'rate', which is not among params"):
        own(decay=("learning_rate", "rate"))
