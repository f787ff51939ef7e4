"""Values, slopes, and training by name."""

import numpy as np
import pytest

import numbanet as nn

X = np.linspace(-8, 8, 129)


@pytest.fixture(params=[0.5, 1.0, 3.0])
def spec(request):
    return nn.activation("template", alpha=request.param)


def forward(spec, x):
    return spec.forward(x, *spec.params.values())


def derivative(spec, x):
    return spec.derivative(x, forward(spec, x), *spec.params.values())


def test_values(spec):
    alpha = spec.params["alpha"]
    np.testing.assert_allclose([forward(spec, x) for x in X], np.arctan(alpha * X) / alpha, rtol=1e-14)


def test_derivative_against_differences(spec):
    h = 1e-5
    differences = [(forward(spec, x + h) - forward(spec, x - h)) / (2 * h) for x in X]
    np.testing.assert_allclose([derivative(spec, x) for x in X], differences, rtol=1e-7, atol=1e-9)


def test_extremes_are_finite(spec):
    for x in (1e-300, 1e30, 1e308, np.inf):
        for value in (x, -x):
            assert np.isfinite(forward(spec, value))
            assert np.isfinite(derivative(spec, value))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_by_name(dtype):
    x = np.random.default_rng(0).uniform(-2, 2, (256, 1))
    y = np.sin(2 * x)
    model = nn.Sequential([nn.Dense(16, activation="template"), nn.Dense(1)])
    trainer = nn.Trainer(model, loss="mse", optimizer=nn.Adam(learning_rate=0.02), seed=0, dtype=dtype)
    trainer.fit(x, y, epochs=100, batch_size=32, progress=False)
    assert trainer.evaluate(x, y)["loss"] < 0.02


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_is_plain_python(spec, dtype):
    model = nn.Sequential([nn.Apply(spec)])
    model.build((len(X),), dtype=dtype)
    expected = [forward(spec, x) for x in X.astype(dtype).astype(float)]
    np.testing.assert_allclose(model.predict(X[None])[0], expected, rtol=8 * np.finfo(dtype).eps)
