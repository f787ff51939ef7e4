"""Values, the checks that numbanet has for plugins, and training by name."""

import numpy as np
import pytest

import numbanet as nn
from numbanet.testing import check_activation

X = np.linspace(-8, 8, 129)


@pytest.fixture(params=[0.5, 1.0, 3.0])
def spec(request):
    return nn.activation("template", alpha=request.param)


def test_values(spec):
    alpha = spec.params["alpha"]
    np.testing.assert_allclose([spec.forward(x, alpha) for x in X], np.tanh(alpha * X) / alpha, rtol=1e-14)


def test_as_a_plugin(spec):
    """The derivative against differences, compiled against plain Python, extremes, a network: see numbanet.testing."""
    check_activation(spec)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_by_name(dtype):
    x = np.random.default_rng(0).uniform(-2, 2, (256, 1))
    y = np.sin(2 * x)
    model = nn.Sequential([nn.Dense(16, activation="template"), nn.Dense(1)])
    trainer = nn.Trainer(model, loss="mse", optimizer=nn.Adam(learning_rate=0.02), seed=0, dtype=dtype)
    trainer.fit(x, y, epochs=100, batch_size=32, progress=False)
    assert trainer.evaluate(x, y)["loss"] < 0.02
