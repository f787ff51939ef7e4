"""Losses, run as the plain Python they are written in."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from scipy.optimize import approx_fprime

from numbanet import registry
from numbanet.builtins.losses import numbanet_losses

inf, nan = math.inf, math.nan
ORDINARY = np.concatenate([np.linspace(-8, 8, 65), np.random.default_rng(0).normal(scale=3, size=100)])


def names(row):
    return sorted(spec.name for spec in numbanet_losses() if spec.row == row)


def slope(function, x):
    h = 1e-5 * max(1.0, abs(x))
    return (function(x + h) - function(x - h)) / (x + h - (x - h))


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
    return lambda z, t: spec.loss(z, t, *values), lambda z, t: spec.slope(z, t, *values)


def test_every_loss_is_tested():
    assert names(row=False) == sorted([*LOSSES, *ALIASES])


@pytest.mark.parametrize(("name", "target"), PAIRS)
def test_loss(name, target):
    loss, _ = loss_formulas(name)
    np.testing.assert_allclose([loss(z, target) for z in ORDINARY], LOSSES[name][0](ORDINARY, target),
                               rtol=1e-13, atol=3e-14)


@pytest.mark.parametrize(("name", "target"), PAIRS)
def test_derivative_of_loss(name, target):
    loss, derivative = loss_formulas(name)
    kinks = {"huber": (target - 1, target + 1), "mean_absolute_error": (target,), "quantile": (target,),
             "hinge": (target,), "squared_hinge": (target,)}.get(name, ())
    points = [z for z in ORDINARY if all(abs(z - kink) > 1e-3 for kink in kinks)]
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
    assert loss(output, target) == pytest.approx(0, abs=1e-13)
    assert derivative(output, target) == pytest.approx(0, abs=1e-13)


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
    assert names(row=True) == sorted(ROW_LOSSES)


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
