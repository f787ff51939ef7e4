"""Penalties beside their formulas in NumPy; projections beside the problems that they solve."""

import numpy as np
import pytest
from scipy import optimize

import numbanet as nn
from numbanet.testing import check_regularizer
from numbanet_sparse import numbanet_regularizers

W = np.concatenate([np.linspace(-4, 4, 161), np.random.default_rng(0).normal(size=40)])
EXTREMES = [s * x for x in (0.0, 1e-300, 1e-30, 1e15, 1e19, 1e38, 1e300) for s in (-1, 1)]


def scad(w, strength=0.5, a=3.7):
    size = abs(w)
    middle = (2 * a * strength * size - size**2 - strength**2) / (2 * (a - 1))
    outer = strength**2 * (a + 1) / 2
    return np.where(size <= strength, strength * size, np.where(size <= a * strength, middle, outer))


PENALTIES = {  # parameters, the paper's formula, the kinks
    "scad": ({"strength": 0.5, "a": 3.7}, scad, (0, 0.5, 1.85)),
    "mcp": ({"strength": 0.5, "gamma": 3.0}, lambda w: np.where(
        abs(w) <= 1.5, 0.5 * abs(w) - w**2 / 6, 0.375), (0, 1.5)),
    "log_sum": ({"strength": 0.5, "epsilon": 0.2}, lambda w: 0.5 * np.log(1 + abs(w) / 0.2), (0,)),
    "transformed_l1": ({"strength": 0.5, "a": 2.0}, lambda w: 0.5 * 3 * abs(w) / (2 + abs(w)), (0,)),
    "weight_elimination": ({"strength": 0.5, "scale": 2.0}, lambda w: 0.5 * (w / 2) ** 2 / (1 + (w / 2) ** 2), ()),
}
PROJECTIONS = {"proximal_l1": 0.3, "hard_threshold": 0.3, "proximal_group_lasso": 0.3, "hoyer": 0.7}


def spec_of(name):
    if name in PENALTIES:
        return nn.regularizer(name, **PENALTIES[name][0])
    spec = nn.regularizer(name)
    return spec.with_params(**dict.fromkeys(spec.params, PROJECTIONS[name]))


def of(function, spec, weights):
    return np.array([function(float(w), *spec.params.values()) for w in weights])


def projected(spec, w):
    w = np.array(w, float)
    spec.project(w, *spec.params.values())
    return w


def test_every_name_is_tested():
    assert sorted(spec.name for spec in numbanet_regularizers()) == sorted([*PENALTIES, *PROJECTIONS])


# -- penalties ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PENALTIES)
def test_penalty(name):
    spec = spec_of(name)
    np.testing.assert_allclose(of(spec.penalty, spec, W), PENALTIES[name][1](W), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", PENALTIES)
def test_derivative_against_differences(name):
    spec, h = spec_of(name), 1e-5
    weights = np.array([w for w in W if all(abs(abs(w) - kink) > 1e-3 for kink in PENALTIES[name][2])])
    differences = (of(spec.penalty, spec, weights + h) - of(spec.penalty, spec, weights - h)) / (2 * h)
    np.testing.assert_allclose(of(spec.derivative, spec, weights), differences, rtol=1e-7, atol=1e-9)
    assert spec.derivative(0.0, *spec.params.values()) == 0


@pytest.mark.parametrize("name", PENALTIES)
def test_extremes(name):
    spec = spec_of(name)
    assert np.isfinite(of(spec.penalty, spec, EXTREMES)).all()
    assert np.isfinite(of(spec.derivative, spec, EXTREMES)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PENALTIES)
def test_compiled_penalty(name, dtype):
    spec = spec_of(name)
    weights = np.array([*W[::4], *(w for w in EXTREMES if abs(w) < 1e16)], dtype)
    model = nn.Sequential([nn.Dense(1, use_bias=False)])
    model.build((len(weights),), dtype=dtype)
    trainer = nn.Trainer(model, loss="mse", regularizer=spec, seed=0, dtype=dtype)
    zeros = np.zeros((1, len(weights)))
    loss, gradient = trainer.loss_and_gradient(zeros, [[0.0]], weights)
    eps = float(np.finfo(dtype).eps)
    assert loss == pytest.approx(of(spec.penalty, spec, weights).sum(), rel=64 * eps)
    np.testing.assert_allclose(gradient, of(spec.derivative, spec, weights), rtol=64 * eps, atol=4 * eps)


# -- projections ----------------------------------------------------------------------------


ROWS = [np.random.default_rng(seed).normal(size=12) for seed in range(5)]


@pytest.mark.parametrize("w", ROWS)
def test_proximal_l1(w):
    found = projected(spec_of("proximal_l1"), w)
    np.testing.assert_allclose(found, np.sign(w) * np.maximum(abs(w) - 0.3, 0), rtol=1e-14)
    assert (found == 0).sum() == (abs(w) <= 0.3).sum()


@pytest.mark.parametrize("w", ROWS)
def test_hard_threshold(w):
    np.testing.assert_array_equal(projected(spec_of("hard_threshold"), w), np.where(abs(w) > 0.3, w, 0))


@pytest.mark.parametrize("w", ROWS)
def test_proximal_group_lasso_solves_its_problem(w):
    found = projected(spec_of("proximal_group_lasso"), w)
    best = optimize.minimize(lambda v: 0.3 * np.linalg.norm(v) + 0.5 * ((v - w) ** 2).sum(), w, tol=1e-12)
    np.testing.assert_allclose(found, best.x, atol=1e-5)
    np.testing.assert_array_equal(projected(spec_of("proximal_group_lasso"), 0.29 * w / np.linalg.norm(w)), 0 * w)


def sparseness(w):
    root = np.sqrt(len(w))
    return (root - abs(w).sum() / np.linalg.norm(w)) / (root - 1)


@pytest.mark.parametrize("w", ROWS)
def test_hoyer(w):
    found = projected(spec_of("hoyer"), w)
    assert sparseness(w) < 0.7
    assert sparseness(found) == pytest.approx(0.7, abs=1e-4)
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(w), rel=1e-12)
    assert (found == 0).any()
    np.testing.assert_allclose(projected(spec_of("hoyer"), found), found, rtol=1e-12)  # it stays


@pytest.mark.parametrize("w", ROWS)
def test_hoyer_is_the_nearest(w):
    """Of many rows of this norm and sparseness none is nearer."""
    spec = spec_of("hoyer")
    found, rng = projected(spec, w), np.random.default_rng(0)
    for other in found + rng.normal(scale=0.3, size=(200, len(w))):
        other = projected(spec, other * np.linalg.norm(w) / np.linalg.norm(other))
        assert np.linalg.norm(found - w) <= np.linalg.norm(other - w) + 1e-4


@pytest.mark.parametrize("w", [[0.0, 0.0, 0.0], [2.0], [1.0, 1.0, 1.0], [0.0, 5.0, 0.0]])
def test_hoyer_where_there_is_nothing_to_choose(w):
    np.testing.assert_allclose(projected(spec_of("hoyer"), w), w, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PROJECTIONS)
def test_compiled_projection(name, dtype):
    """A step at a learning rate of 0 projects the weights that enter each unit, and no biases."""
    spec = spec_of(name)
    model = nn.Sequential([nn.Dense(len(ROWS))])
    model.build((12,), dtype=dtype)
    weights = np.array(ROWS, dtype).T
    model.parameters[:] = [*weights.ravel(), *[0.1] * len(ROWS)]
    trainer = nn.Trainer(model, loss="mse", optimizer=nn.SGD(learning_rate=0), regularizer=spec, dtype=dtype, seed=0)
    trainer.fit(np.zeros((1, 12)), np.zeros((1, len(ROWS))), epochs=1, batch_size=1, progress=False)
    expected = np.stack([projected(spec, w) for w in weights.T]).T
    np.testing.assert_allclose(model.parameters[:-len(ROWS)].reshape(weights.shape), expected,
                               rtol=1e-4, atol=1e-5 if name == "hoyer" else 1e-7)
    np.testing.assert_array_equal(model.parameters[-len(ROWS):], np.full(len(ROWS), 0.1, dtype))


@pytest.mark.parametrize("name", [*PENALTIES, *PROJECTIONS])
def test_as_a_plugin(name):
    check_regularizer(name)


# -- training -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*PENALTIES, *PROJECTIONS])
def test_training_by_name(name, dtype):
    """Of twenty features two matter; the weights of the others are small, and 0 behind a projection."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 20))
    y = X[:, :1] - 2 * X[:, 1:2] + 0.1 * rng.normal(size=(200, 1))
    model = nn.Sequential([nn.Dense(1)])
    trainer = nn.Trainer(model, loss="mse", optimizer=nn.SGD(learning_rate=0.05), regularizer=name, seed=0, dtype=dtype)
    trainer.fit(X, y, epochs=30, batch_size=20, progress=False)
    np.testing.assert_allclose(model.parameters[:2], [1, -2], atol=0.1)
    assert abs(model.parameters[2:20]).max() < 0.05


def test_proximal_steps_find_the_lasso():
    """Whole batches at a constant rate, threshold = rate λ: the minimum of mse + λ l1, with exact zeros."""
    rng = np.random.default_rng(0)
    X, rate, strength = rng.normal(size=(200, 20)), 0.05, 0.5
    y = X[:, :1] - 2 * X[:, 1:2] + 0.1 * rng.normal(size=(200, 1))
    model = nn.Sequential([nn.Dense(1, use_bias=False)])
    spec = nn.regularizer("proximal_l1", threshold=rate * strength)
    trainer = nn.Trainer(model, loss="mse", optimizer=nn.SGD(learning_rate=rate), regularizer=spec, seed=0,
                         dtype="float64")
    trainer.fit(X, y, epochs=2000, batch_size=200, progress=False)
    w = model.parameters
    gradient = 2 * X.T @ (X @ w - y[:, 0]) / 200
    assert 0 < (w != 0).sum() < 20
    np.testing.assert_allclose(gradient[w != 0], -strength * np.sign(w[w != 0]), atol=1e-10)
    assert (abs(gradient[w == 0]) <= strength).all()
