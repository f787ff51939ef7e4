"""Each activation beside its formula in NumPy, differences, and what is compiled."""

import numpy as np
import pytest
from scipy import special

import numbanet as nn
from numbanet.testing import check_activation
from numbanet_activations_extra import numbanet_activations

X = np.concatenate([np.linspace(-8, 8, 129), np.random.default_rng(0).normal(scale=3, size=60)])
EXTREMES = [s * x for x in (1e-300, 1e-30, 50.0, 1e4, 1e15, 1e19, 1e30, 1e38, 1e150, 1.1e308, np.inf) for s in (-1, 1)]
inf = np.inf


def gated(gate):
    return lambda x: x * gate(x)


REFERENCES = {  # parameters, the paper's formula, the limits at -inf and inf, the kinks
    "snake": ({"alpha": 0.7}, lambda x: x + (1 - np.cos(1.4 * x)) / 1.4, -inf, inf, ()),
    "sine": ({"omega": 3.0}, lambda x: np.sin(3 * x), None, None, ()),
    "serf": ({}, gated(lambda x: special.erf(np.logaddexp(0, x))), 0, inf, ()),
    "tanhexp": ({}, gated(lambda x: np.tanh(np.exp(x))), 0, inf, ()),
    "lisht": ({}, gated(np.tanh), inf, inf, ()),
    "squareplus": ({"b": 2.0}, lambda x: (x + np.sqrt(x**2 + 2)) / 2, 0, inf, ()),
    "smelu": ({"beta": 1.5}, lambda x: np.where(abs(x) <= 1.5, (x + 1.5) ** 2 / 6, np.maximum(x, 0)), 0, inf,
              (-1.5, 1.5)),
    "squared_relu": ({}, lambda x: np.maximum(x, 0) ** 2, 0, inf, (0,)),
    "bent_identity": ({}, lambda x: x + (np.sqrt(x**2 + 1) - 1) / 2, -inf, inf, ()),
    "gaussian": ({}, lambda x: np.exp(-(x**2)), 0, 0, ()),
    "isru": ({"alpha": 4.0}, lambda x: x / np.sqrt(1 + 4 * x**2), -0.5, 0.5, ()),
    "isrlu": ({"alpha": 4.0}, lambda x: np.where(x < 0, x / np.sqrt(1 + 4 * x**2), x), -0.5, inf, (0,)),
    "log_sigmoid": ({}, special.log_expit, -inf, 0, ()),
    "soft_shrink": ({"threshold": 0.5}, lambda x: np.sign(x) * np.maximum(abs(x) - 0.5, 0), -inf, inf, (-0.5, 0.5)),
    "hard_shrink": ({"threshold": 0.5}, lambda x: np.where(abs(x) > 0.5, x, 0), -inf, inf, (-0.5, 0.5)),
}


@pytest.fixture(params=REFERENCES)
def name(request):
    return request.param


def spec_of(name):
    return nn.activation(name, **REFERENCES[name][0])


def values(spec, points):
    return np.array([spec.forward(float(x), *spec.params.values()) for x in points])


def slopes(spec, points):
    return np.array([spec.derivative(float(x), spec.forward(float(x), *spec.params.values()), *spec.params.values())
                     for x in points])


def test_every_name_is_tested():
    assert sorted(spec.name for spec in numbanet_activations()) == sorted(REFERENCES)


def test_values(name):
    np.testing.assert_allclose(values(spec_of(name), X), REFERENCES[name][1](X), rtol=1e-13, atol=1e-15)


def test_derivative_against_differences(name):
    spec, h = spec_of(name), 1e-5
    points = np.array([x for x in X if all(abs(x - kink) > 1e-3 for kink in REFERENCES[name][4])])
    differences = (values(spec, points + h) - values(spec, points - h)) / (2 * h)
    np.testing.assert_allclose(slopes(spec, points), differences, rtol=1e-7, atol=1e-8)


def test_as_a_plugin(name):
    check_activation(spec_of(name))


def test_limits(name):
    for x, limit in zip((-inf, inf), REFERENCES[name][2:4], strict=True):
        if limit is not None:
            assert values(spec_of(name), [x])[0] == pytest.approx(limit, rel=1e-15)
    assert np.isnan(values(spec_of(name), [np.nan])[0])


def test_extremes(name):
    spec = spec_of(name)
    points = [x for x in EXTREMES if name != "squared_relu" or abs(x) < 1e150]  # whose square is finite
    assert np.isfinite(slopes(spec, points)).all()
    if name == "bent_identity":  # 1.5 x
        points = [x for x in points if abs(x) < 1e308]
    points = [x for x in points if np.isfinite(x)]
    assert np.isfinite(values(spec, points)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled(name, dtype):
    spec = spec_of(name)
    with np.errstate(over="ignore"):
        points = np.array([*X, *EXTREMES]).astype(dtype)
    points = points[np.isfinite(points)]
    if name in ("sine", "snake"):  # the rounding of what is under the sine grows with it
        points = points[abs(points) < 1e4]
    model = nn.Sequential([nn.Apply(spec)])
    model.build((len(points),), dtype=dtype)
    with np.errstate(over="ignore"):
        expected = values(spec, points).astype(dtype)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(model.predict(points[None])[0], expected, rtol=64 * eps, atol=4 * eps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_by_name(name, dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, 3))
    y = X[:, :1] * X[:, 1:2]
    model = nn.Sequential([nn.Dense(8, activation=name), nn.Dense(1)])
    trainer = nn.Trainer(model, loss="mse", optimizer=nn.Adam(learning_rate=0.01), seed=0, dtype=dtype)
    trainer.fit(X, y, epochs=1, batch_size=16, progress=False)
    before = trainer.evaluate(X, y)["loss"]
    trainer.fit(X, y, epochs=30, batch_size=16, progress=False)
    assert trainer.evaluate(X, y)["loss"] < before
