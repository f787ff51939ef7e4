"""Initializers and metrics: the built-ins that are NumPy code."""

import math

import numpy as np
import pytest
from scipy import stats

from numbanet import builtins, registry
from numbanet.builtins.initializers import numbanet_initializers

SHAPE = (400, 100)


def sample(name, shape=SHAPE, seed=0, **params):
    spec = registry.get("initializer", name, **params)
    rng = np.random.default_rng(seed)
    return spec.sample(rng, shape, math.prod(shape[:-1]), shape[-1], *spec.params.values())


@pytest.mark.parametrize("name", [spec.name for spec in numbanet_initializers()])
@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (5,), (3, 3, 2, 6), (1, 1)])
def test_shape_and_dtype(name, shape):
    values = sample(name, shape)
    assert values.shape == shape
    assert values.dtype == np.float64
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(values, sample(name, shape))


@pytest.mark.parametrize(("name", "params", "expected"), [
    ("zeros", {}, 0), ("ones", {}, 1), ("constant", {"value": 7}, 7),
])
def test_constants(name, params, expected):
    np.testing.assert_array_equal(sample(name, **params), expected)


def uniform(low, high):
    return stats.uniform(low, high - low)


@pytest.mark.parametrize(("name", "params", "distribution"), [
    ("uniform", {}, uniform(-0.05, 0.05)),
    ("uniform", {"low": 1, "high": 3}, uniform(1, 3)),
    ("normal", {"mean": 1, "stddev": 2}, stats.norm(1, 2)),
    ("truncated_normal", {"mean": 1, "stddev": 2}, stats.truncnorm(-2, 2, 1, 2)),
    ("glorot_uniform", {}, uniform(-math.sqrt(6 / 500), math.sqrt(6 / 500))),
    ("glorot_normal", {}, stats.norm(0, math.sqrt(2 / 500))),
    ("he_uniform", {}, uniform(-math.sqrt(6 / 400), math.sqrt(6 / 400))),
    ("he_normal", {}, stats.norm(0, math.sqrt(2 / 400))),
    ("lecun_uniform", {}, uniform(-math.sqrt(3 / 400), math.sqrt(3 / 400))),
    ("lecun_normal", {}, stats.norm(0, math.sqrt(1 / 400))),
])
def test_distribution(name, params, distribution):
    assert stats.kstest(sample(name, **params).ravel(), distribution.cdf).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (2, 3, 4)])
def test_orthogonal(shape):
    matrix = sample("orthogonal", shape, gain=3).reshape(-1, shape[-1])
    small = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(small, 9 * np.eye(len(small)), atol=1e-13)


def test_orthogonal_favours_no_rotation():
    first = [sample("orthogonal", (2, 2), seed=seed)[0, 0] for seed in range(2000)]
    assert stats.kstest(np.arccos(first), uniform(0, np.pi).cdf).pvalue > 1e-3


@pytest.mark.parametrize(("factory", "arguments", "message"), [
    ("Constant", {"value": math.inf}, "must be finite"),
    ("RandomUniform", {"low": 1, "high": 0}, r"uniform: parameter 'low' must be in \(-inf, high\], got 1\.0"),
    ("RandomNormal", {"stddev": -1}, r"'stddev' must be in \[0, inf\), got -1\.0"),
    ("TruncatedNormal", {"stddev": -1}, r"'stddev' must be in \[0, inf\), got -1\.0"),
    ("Orthogonal", {"gain": -1}, r"orthogonal: parameter 'gain' must be in \[0, inf\), got -1\.0"),
])
def test_bad_initializer(factory, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(builtins, factory)(**arguments)


# -- metrics --------------------------------------------------------------------------------

RNG = np.random.default_rng(1)
LABELS = RNG.integers(0, 4, 60)
SCORES = RNG.dirichlet(np.ones(6), 60) + 0.3 * np.eye(6)[LABELS]  # classes 4 and 5 never occur as labels
FLAGS = RNG.integers(0, 2, (60, 3)).astype(float)
CHANCES = np.clip(0.6 * RNG.random((60, 3)) + 0.4 * FLAGS, 0, 1)
NUMBERS, ESTIMATES = RNG.normal(size=(2, 60, 3))
WEIGHT = RNG.random(60)


def metric(name, target, prediction, weight=WEIGHT, **params):
    spec = registry.get("metric", name, **params)
    result = spec.compute(target, prediction, weight, *spec.params.values())
    assert type(result) is float
    return result


def test_accuracy():
    assert metric("accuracy", LABELS, SCORES) == pytest.approx(WEIGHT @ (SCORES.argmax(1) == LABELS) / WEIGHT.sum())
    hits = ((CHANCES > 0.5) == FLAGS).mean(1)
    assert metric("accuracy", FLAGS, CHANCES) == pytest.approx(WEIGHT @ hits / WEIGHT.sum())
    assert metric("accuracy", FLAGS[:, 0], CHANCES[:, :1]) == metric("accuracy", FLAGS[:, :1], CHANCES[:, :1])
    signs = 2 * FLAGS - 1
    assert metric("accuracy", signs, 0.1 * signs, threshold=0) == 1


def test_top_k_accuracy():
    order = np.argsort(-SCORES, axis=1)
    for k in range(1, 7):
        hits = [label in order[i, :k] for i, label in enumerate(LABELS)]
        assert metric("top_k_accuracy", LABELS, SCORES, k=k) == pytest.approx(WEIGHT @ hits / WEIGHT.sum())
    assert metric("top_k_accuracy", LABELS, np.full_like(SCORES, math.nan)) == 0


def test_against_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics")
    weighted = {"sample_weight": WEIGHT}
    for target, prediction in ((NUMBERS, ESTIMATES), (NUMBERS[:, 0], ESTIMATES[:, :1])):
        for name in ("mean_squared_error", "mean_absolute_error", "r2_score"):
            expected = getattr(sklearn, name)(target, prediction, **weighted)
            assert metric(name, target, prediction) == pytest.approx(expected, rel=1e-12)
    for name in ("precision", "recall", "f1"):
        score = getattr(sklearn, f"{name}_score")
        expected = score(LABELS, SCORES.argmax(1), average="macro", zero_division=0, **weighted)
        assert metric(name, LABELS, SCORES) == pytest.approx(expected, rel=1e-12)
        expected = score(FLAGS, CHANCES > 0.5, average="macro", **weighted)
        assert metric(name, FLAGS, CHANCES) == pytest.approx(expected, rel=1e-12)
        expected = score(FLAGS[:, 0], CHANCES[:, 0] > 0.5, **weighted)
        assert metric(name, FLAGS[:, :1], CHANCES[:, :1]) == pytest.approx(expected, rel=1e-12)


def test_weights_count_samples():
    weight = RNG.integers(0, 3, 60)
    twice = np.repeat(np.arange(60), weight)
    for name in ("accuracy", "top_k_accuracy", "precision", "recall", "f1"):
        expected = metric(name, LABELS[twice], SCORES[twice], np.ones(len(twice)))
        assert metric(name, LABELS, SCORES, weight.astype(float)) == pytest.approx(expected, rel=1e-12)
    for name in ("mean_squared_error", "mean_absolute_error", "r2_score"):
        expected = metric(name, NUMBERS[twice], ESTIMATES[twice], np.ones(len(twice)))
        assert metric(name, NUMBERS, ESTIMATES, weight.astype(float)) == pytest.approx(expected, rel=1e-12)


def test_r2_of_constant_target():
    ones = np.ones((4, 1))
    assert metric("r2_score", ones, ones, np.ones(4)) == 1
    assert metric("r2_score", ones, 2 * ones, np.ones(4)) == 0
    assert metric("r2_score", ones, math.nan * ones, np.ones(4)) == 0


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_nothing_to_find(name):
    assert metric(name, np.zeros((4, 1)), np.zeros((4, 1)), np.ones(4)) == 0


def test_mismatched_shapes():
    with pytest.raises(ValueError, match=r"targets of shape \(60,\) can't be compared with predictions of \(60, 6\)"):
        metric("mean_squared_error", LABELS, SCORES)


def test_nan_is_not_hidden_by_a_metric():
    for name in ("mean_squared_error", "mean_absolute_error", "r2_score"):
        assert math.isnan(metric(name, NUMBERS, np.where(NUMBERS > 2, math.nan, ESTIMATES)))


def test_which_is_better():
    assert registry.get("metric", "accuracy").greater_is_better
    assert not registry.get("metric", "mse").greater_is_better
