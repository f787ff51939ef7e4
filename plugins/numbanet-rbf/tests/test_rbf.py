"""The layer beside NumPy, its gradient beside differences, and what it learns."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import numbanet as nn
from numbanet.testing import check_activation
from numbanet_rbf import RadialBasis, from_samples

FUNCTIONS = {
    "radial_gaussian": lambda r: np.exp(-r),
    "inverse_quadratic": lambda r: 1 / (1 + r),
    "inverse_multiquadric": lambda r: 1 / np.sqrt(1 + r),
}


def drawn(layers, inputs, dtype):
    model = nn.Sequential(layers)
    model.build((inputs,), dtype=dtype, seed=0)
    model.parameters[:] = np.random.default_rng(0).normal(size=model.parameters.size)
    return model


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("samples", "inputs", "units"), [(1, 1, 1), (70, 3, 5)])
def test_values(name, dtype, samples, inputs, units):
    model = drawn([RadialBasis(units, name)], inputs, dtype)
    X = np.random.default_rng(1).normal(size=(samples, inputs)).astype(dtype)
    centers, scales = model.get_weights()
    expected = FUNCTIONS[name](scales.astype(float) ** 2 * cdist(X, centers.T, "sqeuclidean"))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(model.predict(X), expected, rtol=100 * eps, atol=10 * eps)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("before", [[], [nn.Dense(4, "tanh")]], ids=["first", "behind"])
def test_gradient_against_differences(before, threads):
    model = drawn([*before, RadialBasis(6, "inverse_quadratic"), nn.Dense(2)], 3, "float64")
    trainer = nn.Trainer(model, loss="mse", seed=0, dtype="float64", threads=threads)
    rng = np.random.default_rng(2)
    X, y, at = rng.normal(size=(70, 3)), rng.normal(size=(70, 2)), model.parameters.copy()
    _, gradient = trainer.loss_and_gradient(X, y, at)
    h = 1e-6 * np.eye(len(at))
    differences = [(trainer.loss_and_gradient(X, y, at + e)[0] - trainer.loss_and_gradient(X, y, at - e)[0]) / 2e-6
                   for e in h]
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-8)


def test_jacobian_against_differences():
    model = drawn([RadialBasis(6), nn.Dense(2)], 3, "float64")
    X = np.random.default_rng(3).normal(size=(5, 3))
    differences = [(model.predict(X + e) - model.predict(X - e)) / 2e-6 for e in 1e-6 * np.eye(3)]
    np.testing.assert_allclose(model.jacobian(X), np.stack(differences, axis=2), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_float_types_agree(dtype):
    model = drawn([RadialBasis(6), nn.Dense(2)], 3, dtype)
    trainer = nn.Trainer(model, loss="mse", seed=0, dtype=dtype)
    rng = np.random.default_rng(2)
    X, y, at = rng.normal(size=(70, 3)), rng.normal(size=(70, 2)), rng.normal(size=model.parameters.size)
    wide = nn.Trainer(drawn([RadialBasis(6), nn.Dense(2)], 3, "float64"), loss="mse", seed=0, dtype="float64")
    found, expected = trainer.loss_and_gradient(X, y, at), wide.loss_and_gradient(X, y, at)
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-4, atol=1e-5)


def test_learns_what_a_linear_model_cannot():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (400, 2))
    y = (np.hypot(*X.T) < 1.2).astype(int)
    model = nn.Sequential([RadialBasis(16, center_initializer=from_samples(X)), nn.Dense(2)])
    trainer = nn.Trainer(model, loss="softmax_cross_entropy", optimizer=nn.Adam(learning_rate=0.02), seed=0)
    trainer.fit(X, y, epochs=60, batch_size=32, progress=False)
    assert np.mean(model.predict(X).argmax(1) == y) > 0.95


def test_saved_and_loaded(tmp_path):
    X = np.random.default_rng(0).normal(size=(20, 3))
    model = drawn([RadialBasis(6, "inverse_quadratic", center_initializer=from_samples(X)), nn.Dense(2)], 3, "float32")
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(nn.load(tmp_path / "model").predict(X), model.predict(X))


def test_settings():
    assert repr(RadialBasis(3, scale=2)).startswith("RadialBasis(units=3, ")
    assert "radial_gaussian" in nn.Sequential([RadialBasis(3)], input_shape=(2,)).summary()
    with pytest.raises(ValueError, match="units must be at least 1, got 0"):
        RadialBasis(0)
    with pytest.raises(TypeError, match="float"):
        RadialBasis(2.5)
    with pytest.raises(ValueError, match="scale must be positive and finite, got 0"):
        RadialBasis(3, scale=0)
    with pytest.raises(ValueError, match=r"layer 0 \(RadialBasis\) takes samples of one axis, got shape \(2, 2\)"):
        nn.Sequential([RadialBasis(3)], input_shape=(2, 2))
    with pytest.raises(ValueError, match=r"from_samples needs at least 3 samples of 2 inputs, got shape \(1, 2\)"):
        nn.Sequential([RadialBasis(3, center_initializer=from_samples([[0, 0]]))], input_shape=(2,))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_as_plugins(name):
    check_activation(name)
    spec = nn.activation(name)
    assert spec.forward(-3.0) == spec.forward(0.0) == 1
    for x in (1e-3, 0.3, 4.0, 60.0):
        assert spec.forward(x) == pytest.approx(FUNCTIONS[name](x), rel=1e-14)
        difference = (spec.forward(x + 1e-6) - spec.forward(x - 1e-6)) / 2e-6
        assert spec.derivative(x, spec.forward(x)) == pytest.approx(difference, rel=1e-6, abs=1e-9)
