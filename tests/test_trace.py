"""One step, seen from within: against NumPy, against the step itself, and against differences."""

import numpy as np
import pytest
from scipy.special import expit, softmax

import numbanet as nn

RNG = np.random.default_rng(0)


def trainer(layers, loss="mean_squared_error", optimizer="sgd", **options):
    return nn.Trainer(nn.Sequential(layers), loss, optimizer, **{"dtype": "float64", "seed": 0, **options})


def test_every_number_of_a_small_network():
    one = trainer([nn.Dense(2, "sigmoid"), nn.Dense(1)], optimizer=nn.SGD(0.1))
    X, y = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 1))
    step = one.trace(X, y)
    W, b, V, c = (step[name] for name in ("0.kernel", "0.bias", "1.kernel", "1.bias"))
    z = X @ W + b
    a = expit(z)
    out = a @ V + c
    d_out = 2 * (out - y) / 5
    d_a = d_out @ V.T
    d_z = d_a * a * (1 - a)
    expected = {
        "X": X, "0.dense": z, "0.activation": a, "1.dense": out, "loss": np.mean((out - y) ** 2), "d 1.dense": d_out,
        "d 0.activation": d_a, "d 0.dense": d_z, "0.kernel": W, "0.bias": b, "1.kernel": V, "1.bias": c,
        "d 0.kernel": X.T @ d_z, "d 0.bias": d_z.sum(axis=0), "d 1.kernel": a.T @ d_out, "d 1.bias": d_out.sum(axis=0),
    }  # fmt: skip
    assert list(step)[: len(expected)] == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(step[name], values, rtol=1e-12, atol=1e-14, err_msg=name)
    for name in ("0.kernel", "0.bias", "1.kernel", "1.bias"):
        np.testing.assert_allclose(step[f"{name} after"], step[name] - 0.1 * step[f"d {name}"], rtol=1e-12)
    assert len(step) == len(expected) + 4


MODELS = {
    "dropout": ([nn.Dropout(0.5), nn.Dense(6, "tanh"), nn.GaussianNoise(0.1), nn.Dense(3)], (4,)),
    "images": ([nn.Conv2D(2, 3, "relu", padding="same"), nn.MaxPool2D(2), nn.Flatten(), nn.Dense(3)], (6, 6, 1)),
    "residual": ([nn.Dense(4), nn.Residual([nn.Dense(4, "gelu")]), nn.LayerNorm(), nn.Dense(3)], (4,)),
    "softmax": ([nn.Dense(4), nn.Apply("softmax"), nn.Dense(3)], (4,)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 7, 70])
@pytest.mark.parametrize("name", MODELS)
def test_the_step_is_the_one_that_training_takes(name, n, dtype):
    layers, shape = MODELS[name]
    one = trainer(layers, "softmax_cross_entropy", nn.Adam(0.01, clip_norm=0.5), regularizer="l2", dtype=dtype)
    X, y, weights = RNG.normal(size=(n, *shape)), RNG.integers(0, 3, n), RNG.uniform(0.5, 2, n)
    X = X.astype(dtype)
    how = {"batch_size": n, "shuffle": False, "sample_weight": weights, "progress": False}
    one.fit(X, y, epochs=2, **how)
    before, epochs = one.model.parameters.copy(), one.epochs_done
    step = one.trace(X, y, sample_weight=weights)
    np.testing.assert_array_equal(one.model.parameters, before)
    assert one.epochs_done == epochs
    tolerance = {"rtol": 2e-4, "atol": 2e-5} if dtype == "float32" else {"rtol": 1e-9, "atol": 1e-12}
    last = max(name for name in step if name.endswith(".dense") and not name.startswith("d "))
    share = weights[:, np.newaxis] / weights.sum()
    slopes = (softmax(step[last], axis=1) - np.eye(3)[y]) * share
    np.testing.assert_allclose(step[f"d {last}"], slopes, **tolerance)
    shown = [name for name in step if not name.startswith("d ")]
    inputs = step[shown[shown.index(last) - 1]].reshape(n, -1)
    kernel = [p.name for p in one.model.graph.parameters if p.name.endswith("kernel")][-1]
    penalty = step[f"d {kernel}"] - inputs.T @ step[f"d {last}"]
    strength = nn.Trainer(nn.Sequential([nn.Dense(1)]), "mse", regularizer="l2").regularizer.params["strength"]
    if "dropout" not in name:
        np.testing.assert_allclose(penalty, strength * step[kernel], rtol=1e-3, atol=tolerance["atol"])
    one.fit(X, y, epochs=1, **how)
    for p in one.model.graph.parameters:
        after = one.model.parameters[p.offset : p.end].reshape(p.shape)
        np.testing.assert_array_equal(step[f"{p.name} after"], after, err_msg=p.name)


def test_noise_is_that_of_the_step():
    one = trainer([nn.Dropout(0.5), nn.Dense(1)])
    X, y = np.ones((50, 8)), np.zeros(50)
    mask = one.trace(X, y)["0.dropout"] == 0
    assert 0.3 < mask.mean() < 0.7
    before = one.model.parameters.copy()
    one.fit(X, y, epochs=1, batch_size=50, shuffle=False, progress=False)
    gradient = (before - one.model.parameters)[:8] / one.optimizer.params["learning_rate"]
    shown = np.where(mask, 0.0, 2.0)
    slope = 2 * (shown @ before[:8] + before[8]) / 50
    np.testing.assert_allclose(gradient, shown.T @ slope, rtol=1e-9, atol=1e-12)
    assert (one.trace(X, y)["0.dropout"] != shown).any()  # another step


def test_derivatives_are_those_of_differences():
    layers, shape = MODELS["residual"]
    one = trainer(layers, "softmax_cross_entropy")
    X, y = RNG.normal(size=(3, *shape)), RNG.integers(0, 3, 3)
    step = one.trace(X, y)
    tail = nn.Trainer(nn.Sequential([nn.LayerNorm(), nn.Dense(3)]), "softmax_cross_entropy", dtype="float64")
    tail.model.build((4,), dtype="float64")
    tail.model.parameters[:] = one.model.parameters[-tail.model.parameters.size :]
    at = step["1.add"]
    for i in np.ndindex(at.shape):
        moved = []
        for distance in (1e-6, -1e-6):
            near = at.copy()
            near[i] += distance
            moved.append(tail.loss_and_gradient(near, y)[0])
        assert step["d 1.add"][i] == pytest.approx((moved[0] - moved[1]) / 2e-6, abs=1e-8)


def test_a_table():
    one = trainer([nn.Dense(2, "tanh"), nn.Dense(1)])
    lines = str(one.trace(RNG.normal(size=(9, 4)), np.zeros(9))).splitlines()
    assert lines[0].split() == ["shape", "values"]
    assert lines[1].startswith("X ")
    assert "(9, 4)" in lines[1]
    assert "from -" in lines[1]
    assert lines[6].split()[:2] == ["d", "1.dense"]
    assert all(len(line) < 200 for line in lines)


def test_what_has_no_step():
    with pytest.raises(ValueError, match="of a model with BatchNorm, in which samples are not apart"):
        trainer([nn.Dense(2), nn.BatchNorm()]).trace(np.ones((3, 2)), np.ones((3, 2)))
    with pytest.raises(KeyError, match=r"there is no .kernel. in this step; there are X, 0\.dense"):
        trainer([nn.Dense(1)]).trace([[1.0]], [1.0])["kernel"]
    with pytest.raises(ValueError, match="X holds NaN"):
        trainer([nn.Dense(1)]).trace([[np.nan]], [1.0])
    one = trainer([nn.Dense(1)])
    before = one.trace([[1.0]], [1.0])["0.kernel"].copy()
    with pytest.raises(FloatingPointError, match="there is no step to show"), np.errstate(over="ignore"):
        one.trace([[1e300]], [-1e300])
    np.testing.assert_array_equal(one.trace([[1.0]], [1.0])["0.kernel"], before)
