"""Formulas of activations, losses and regularizers, run as the plain Python they are written in."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from scipy.optimize import approx_fprime
from scipy.optimize._numdiff import approx_derivative

from numbanet import registry

inf, nan = math.inf, math.nan
ORDINARY = np.concatenate([np.linspace(-8, 8, 65), np.random.default_rng(0).normal(scale=3, size=100)])
EXTREME = [0.0, -0.0, 5e-324, -5e-324, 1e-300, 1e-20, -1e-20, 50.0, -50.0, 1e4, -1e4, 1e30, -1e30, 1.7e308, -1.7e308]


def names(kind, row=False):
    return [name for name in registry.names(kind) if registry.get(kind, name).row == row]


def slope(function, x):
    return float(approx_derivative(lambda v: function(float(v[0])), [x], method="3-point", rel_step=1e-5)[0, 0])


# -- activations ----------------------------------------------------------------------------

ACTIVATIONS = {  # a formula of its own, the values at -inf and inf, and the kinks
    "identity": (lambda x: x, -inf, inf, ()),
    "step": (lambda x: np.heaviside(x, 1), 0, 1, (0,)),
    "sigmoid": (special.expit, 0, 1, ()),
    "tanh": (np.tanh, -1, 1, ()),
    "scaled_tanh": (lambda x: 1.7159 * np.tanh(2 * x / 3), -1.7159, 1.7159, ()),
    "relu": (lambda x: np.maximum(x, 0), 0, inf, (0,)),
    "leaky_relu": (lambda x: np.where(x > 0, x, 0.01 * x), -inf, inf, (0,)),
    "relu6": (lambda x: np.clip(x, 0, 6), 0, 6, (0, 6)),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), -1, inf, (0,)),
    "celu": (lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), -1, inf, (0,)),
    "selu": (lambda x: 1.05070098735548 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
             -1.7580993408473766, inf, (0,)),
    "gelu": (lambda x: np.maximum(x, -1e3) * special.ndtr(x), 0, inf, ()),
    "gelu_tanh": (lambda x: np.maximum(x, -1e3) * special.expit(
        np.sqrt(8 / np.pi) * (x + 0.044715 * np.clip(x, -1e3, 1e3) ** 3)), 0, inf, ()),
    "silu": (lambda x: np.maximum(x, -1e3) * special.expit(x), 0, inf, ()),
    "swish": (lambda x: np.maximum(x, -1e3) * special.expit(x), 0, inf, ()),
    "mish": (lambda x: np.maximum(x, -1e3) * np.tanh(np.logaddexp(0, x)), 0, inf, ()),
    "softplus": (lambda x: np.logaddexp(0, x), 0, inf, ()),
    "softsign": (lambda x: x / (1 + abs(x)), -1, 1, ()),
    "hard_sigmoid": (lambda x: np.clip(x / 6 + 0.5, 0, 1), 0, 1, (-3, 3)),
    "hard_tanh": (lambda x: np.clip(x, -1, 1), -1, 1, (-1, 1)),
    "hard_silu": (lambda x: np.maximum(x, -1e3) * np.clip(x / 6 + 0.5, 0, 1), 0, inf, (-3, 3)),
    "exponential": (np.exp, 0, inf, ()),
}
KINK = {"step": 0, "relu": 0, "leaky_relu": 0.01, "relu6": 0, "elu": 1, "celu": 1, "selu": 1.7580993408473766}


def test_every_activation_is_tested():
    assert names("activation") == sorted(ACTIVATIONS)


def formulas(name, **params):
    spec = registry.get("activation", name, **params)
    values = spec.params.values()
    return lambda x: spec.forward(x, *values), lambda x, y: spec.derivative(x, y, *values)


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
    for x in (-inf, inf):
        expected = slope(forward, math.copysign(600.0, x))
        if name != "exponential":
            assert derivative(x, forward(x)) == pytest.approx(expected, abs=1e-6)


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
    expected = approx_derivative(lambda v: direction @ forward_row(name, v), x)
    np.testing.assert_allclose(gradient, expected.ravel(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_nan_fills_the_row(name):
    for x in ([nan, 1.0], [1.0, nan], [nan]):
        assert np.isnan(forward_row(name, x)).all()


# -- elementwise losses ---------------------------------------------------------------------

LOSSES = {  # a formula of its own, and targets
    "mean_squared_error": (lambda z, t: (z - t) ** 2, (-2.0, 0.0, 3.5)),
    "mean_absolute_error": (lambda z, t: abs(z - t), (-2.0, 0.0, 3.5)),
    "huber": (lambda z, t: special.huber(1, z - t), (-2.0, 0.0, 3.5)),
    "log_cosh": (lambda z, t: np.logaddexp(z - t, t - z) - np.log(2), (-2.0, 0.0, 3.5)),
    "quantile": (lambda z, t: np.maximum(0.5 * (t - z), -0.5 * (t - z)), (-2.0, 0.0, 3.5)),
    "poisson_deviance": (lambda z, t: special.xlogy(t, t) - t * z - t + np.exp(z), (0.0, 0.3, 1.0, 25.0)),
    "gamma_deviance": (lambda z, t: z - np.log(t) + t * np.exp(-z) - 1, (0.3, 1.0, 25.0)),
    "binary_cross_entropy": (lambda z, t: -t * special.log_expit(z) - (1 - t) * special.log_expit(-z), (0.0, 0.3, 1.0)),
    "focal": (lambda z, t: -0.25 * t * special.expit(-z) ** 2 * special.log_expit(z)
              - 0.75 * (1 - t) * special.expit(z) ** 2 * special.log_expit(-z), (0.0, 0.3, 1.0)),
    "hinge": (lambda z, t: np.maximum(1 - t * z, 0), (-1.0, 1.0)),
    "squared_hinge": (lambda z, t: np.maximum(1 - t * z, 0) ** 2, (-1.0, 1.0)),
}
ALIASES = {"mse": "mean_squared_error", "mae": "mean_absolute_error", "poisson": "poisson_deviance",
           "gamma": "gamma_deviance"}
PAIRS = [(name, t) for name, (_, targets) in LOSSES.items() for t in targets]


def loss_formulas(name, **params):
    spec = registry.get("loss", name, **params)
    values = spec.params.values()
    return lambda z, t: spec.loss(z, t, *values), lambda z, t: spec.derivative(z, t, *values)


def test_every_loss_is_tested():
    assert names("loss") == sorted([*LOSSES, *ALIASES])


@pytest.mark.parametrize(("name", "target"), PAIRS)
def test_loss(name, target):
    loss, _ = loss_formulas(name)
    np.testing.assert_allclose([loss(z, target) for z in ORDINARY], LOSSES[name][0](ORDINARY, target),
                               rtol=1e-13, atol=3e-14)


@pytest.mark.parametrize(("name", "target"), PAIRS)
def test_derivative_of_loss(name, target):
    loss, derivative = loss_formulas(name)
    kink = 1 / target if name == "hinge" else target
    points = [z for z in ORDINARY if abs(z - kink) > 1e-3]
    np.testing.assert_allclose([derivative(z, target) for z in points],
                               [slope(lambda v: loss(v, target), z) for z in points], rtol=1e-7, atol=2e-8)


@pytest.mark.parametrize(("name", "params", "target"), [
    ("huber", {"delta": 0.3}, 1.0), ("quantile", {"q": 0.9}, 1.0), ("quantile", {"q": 0.1}, 1.0),
    ("binary_cross_entropy", {"label_smoothing": 0.2}, 1.0), ("focal", {"alpha": 0.6, "gamma": 0.5}, 1.0),
    ("focal", {"alpha": 0.6, "gamma": 0}, 0.0),
])
def test_derivative_of_loss_with_parameter(name, params, target):
    loss, derivative = loss_formulas(name, **params)
    points = [z for z in ORDINARY if abs(z - target) > 1e-3]
    np.testing.assert_allclose([derivative(z, target) for z in points],
                               [slope(lambda v: loss(v, target), z) for z in points], rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(("name", "output", "target"), [
    *[(name, 1.5, 1.5) for name in ("mean_squared_error", "mean_absolute_error", "huber", "log_cosh", "quantile")],
    ("poisson_deviance", math.log(25), 25.0), ("poisson_deviance", -inf, 0.0), ("gamma_deviance", math.log(0.3), 0.3),
    ("binary_cross_entropy", 1e4, 1.0), ("binary_cross_entropy", -1e4, 0.0), ("focal", 1e4, 1.0),
    ("focal", -1e4, 0.0), ("hinge", 1.0, 1.0), ("squared_hinge", -1.0, -1.0),
])
def test_perfect_prediction_costs_nothing(name, output, target):
    loss, derivative = loss_formulas(name)
    assert loss(output, target) == pytest.approx(0, abs=1e-14)
    assert derivative(output, target) == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"poisson_deviance", "gamma_deviance"}))
@given(z=st.floats(-1e4, 1e4), data=st.data())
@settings(deadline=None, max_examples=30)
def test_loss_is_finite_and_not_negative(name, z, data):
    loss, derivative = loss_formulas(name)
    target = data.draw(st.sampled_from(LOSSES[name][1]))
    assert 0 <= loss(z, target) < inf
    assert math.isfinite(derivative(z, target))


@pytest.mark.parametrize("name", LOSSES)
def test_nan_is_not_hidden_by_a_loss(name):
    assert math.isnan(loss_formulas(name)[0](nan, 1.0))


def test_small_errors_keep_their_digits():
    loss, _ = loss_formulas("log_cosh")
    assert loss(1e-5, 0.0) == pytest.approx(0.5e-10, rel=1e-9)


def test_parameters_of_losses():
    quantile, _ = loss_formulas("quantile", q=0.9)
    assert quantile(0.0, 1.0) == pytest.approx(0.9)
    assert quantile(1.0, 0.0) == pytest.approx(0.1)
    huber, _ = loss_formulas("huber", delta=0.3)
    assert huber(2.0, 0.0) == pytest.approx(special.huber(0.3, 2.0))
    smooth, _ = loss_formulas("binary_cross_entropy", label_smoothing=0.2)
    plain, _ = loss_formulas("binary_cross_entropy")
    assert smooth(1.3, 1.0) == pytest.approx(plain(1.3, 0.9))


# -- losses of rows -------------------------------------------------------------------------

def row_loss(name, output, target, **params):
    spec = registry.get("loss", name, **params)
    gradient = np.full(len(output), nan)
    return spec.loss(output, target, gradient, *spec.params.values()), gradient


ROW_LOSSES = {
    "softmax_cross_entropy": (lambda z, t: t.sum() * special.logsumexp(z) - t @ z, {}),
    "categorical_hinge": (lambda z, t: (z + 1 - t).max() - t @ z, {}),
    "kl_divergence": (lambda z, t: special.rel_entr(t, z).sum(), {"epsilon": 1e-7}),
    "cosine_similarity": (lambda z, t: 1 - z @ t / np.linalg.norm(z) / np.linalg.norm(t), {"epsilon": 1e-8}),
}


def test_every_row_loss_is_tested():
    assert names("loss", row=True) == sorted(ROW_LOSSES)


@pytest.mark.parametrize("name", ROW_LOSSES)
@pytest.mark.parametrize("target", [np.eye(4)[2], np.array([0.1, 0.2, 0.0, 0.7]), np.array([0.5, 0.0, 0.5, 0.5])])
def test_row_loss(name, target):
    rng = np.random.default_rng(2)
    for _ in range(20):
        output = rng.dirichlet(np.ones(4)) if name == "kl_divergence" else rng.normal(scale=3, size=4)
        loss, gradient = row_loss(name, output, target)
        assert loss == pytest.approx(ROW_LOSSES[name][0](output, target), rel=1e-12)
        expected = approx_fprime(output, lambda z: row_loss(name, z, target)[0], 1e-7)
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)


def test_label_smoothing():
    output, target = np.array([0.3, -2.0, 1.0, 4.0]), np.eye(4)[1]
    loss, gradient = row_loss("softmax_cross_entropy", output, target, label_smoothing=0.1)
    other, other_gradient = row_loss("softmax_cross_entropy", output, 0.9 * target + 0.025)
    assert loss == pytest.approx(other)
    np.testing.assert_allclose(gradient, other_gradient, atol=1e-15)


def test_softmax_cross_entropy_of_extreme_logits():
    loss, gradient = row_loss("softmax_cross_entropy", np.array([1e4, -1e4, 0.0]), np.array([0.0, 1.0, 0.0]))
    assert loss == 2e4
    np.testing.assert_array_equal(gradient, [1, -1, 0])
    loss, gradient = row_loss("softmax_cross_entropy", np.array([1e4, -1e4, 0.0]), np.array([1.0, 0.0, 0.0]))
    assert loss == 0
    np.testing.assert_array_equal(gradient, 0)


def test_categorical_hinge_of_equal_outputs_has_one_winner():
    loss, gradient = row_loss("categorical_hinge", np.zeros(3), np.array([0.0, 1.0, 0.0]))
    assert loss == 1
    np.testing.assert_array_equal(gradient, [1, -1, 0])


def test_kl_divergence_of_no_probability():
    loss, gradient = row_loss("kl_divergence", np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    assert loss == pytest.approx(math.log(1e7))
    np.testing.assert_array_equal(gradient, 0)


def test_cosine_similarity_of_a_row_of_zeros():
    loss, gradient = row_loss("cosine_similarity", np.zeros(2), np.array([3.0, 4.0]))
    assert loss == 1
    np.testing.assert_allclose(gradient, [-0.6e8, -0.8e8])
    assert row_loss("cosine_similarity", np.array([3.0, 4.0]), np.zeros(2))[0] == 1


@pytest.mark.parametrize("name", ROW_LOSSES)
def test_nan_is_not_hidden_by_a_row_loss(name):
    for j in range(3):
        output = np.full(3, 0.3)
        output[j] = nan
        assert math.isnan(row_loss(name, output, np.array([0.0, 1.0, 0.0]))[0])


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
        assert spec.derivative(w, *values) == pytest.approx(slope(reference, w), rel=1e-7)
    assert spec.penalty(0.0, *values) == 0
    assert spec.derivative(0.0, *values) == 0


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
    ("L1", "strength", -1, "strength must not be negative, got -1"),
    ("L2", "strength", nan, "strength must be finite, got nan"),
    ("ElasticNet", "l1_ratio", 1.5, "l1_ratio must be from 0 to 1, got 1.5"),
    ("MaxNorm", "limit", 0, "limit must be positive, got 0"),
])
def test_bad_regularizer(factory, argument, value, message):
    import numbanet.builtins as builtins

    with pytest.raises(ValueError, match=message):
        getattr(builtins, factory)(**{argument: value})


def test_regularizer_factories():
    from numbanet.builtins import L1, L2, ElasticNet, MaxNorm

    assert not L2().biases
    assert L1(1e-3, biases=True).biases
    assert ElasticNet(0.1, 0.2).params == {"strength": 0.1, "l1_ratio": 0.2}
    assert MaxNorm(2).params == {"limit": 2}
