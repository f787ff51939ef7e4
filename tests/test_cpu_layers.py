"""Normalization, noise, embedding, residual connections and layers of one axis, against NumPy and differences."""

import math
import pickle

import numpy as np
import pytest
from numba import config
from scipy import signal, stats

import numbanet as nn
from numbanet.builtins.optimizers import numbanet_optimizers
from numbanet.cpu import runner
from numbanet.cpu.noise import normal
from numbanet.graph import Graph

DTYPES = ("float32", "float64")
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)
compiled = pytest.mark.compiled  # plain Python would take minutes
FEW = config.DISABLE_JIT


@pytest.fixture
def small_steps_too(monkeypatch):
    """Let small steps have a team."""
    monkeypatch.setattr(runner, "SMALL_STEP", 0)


def drawn(layers, shape, dtype="float64", seed=0):
    """Model whose weights are all different; variances are positive, and what is not connected stays 0."""
    model = nn.Sequential(layers)
    model.build(shape, dtype=dtype, seed=seed)
    rng = np.random.default_rng(seed)
    for p in model.graph.parameters:
        values = rng.normal(0, 0.5, p.shape) * (1 if p.mask is None else p.mask)
        model.parameters[p.offset : p.end] = (abs(values) + 0.5 if p.name.endswith("variance") else values).ravel()
    return model


def inputs(samples, shape, dtype="float64"):
    return np.random.default_rng(1).normal(size=(samples, *shape)).astype(dtype)


# -- forward --------------------------------------------------------------------------------


def normalized(x, mean, variance, epsilon, gamma, beta):
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


@both_dtypes
@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 7), (1, 1, 1)])
def test_layer_norm(shape, dtype):
    model = drawn([nn.LayerNorm(epsilon=0.01)], shape, dtype)
    x = inputs(3 if FEW else 37, shape, dtype)
    wide = x.astype(float)
    expected = normalized(wide, wide.mean(-1, keepdims=True), wide.var(-1, keepdims=True), 0.01, *model.get_weights())
    tolerance = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(model.predict(x), expected, rtol=tolerance, atol=tolerance)


@both_dtypes
@pytest.mark.parametrize("shape", [(5,), (2, 3, 7)])
def test_batch_norm_predicts_with_running_averages(shape, dtype):
    model = drawn([nn.BatchNorm(epsilon=0.01)], shape, dtype)
    x = inputs(3 if FEW else 37, shape, dtype)
    expected = normalized(x.astype(float), *model.get_weights()[:2], 0.01, *model.get_weights()[2:])
    tolerance = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(model.predict(x), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("settings", [{}, {"strides": 2}, {"dilation": 3, "padding": "same"}, {"bias": "unit"},
                                      {"padding": 2, "padding_value": 1.5, "bias": None}])  # fmt: skip
def test_convolution_of_sequences(settings):
    """As one of images of a single row."""
    flat, image = nn.Conv1D(5, 3, **settings), nn.Conv2D(5, (1, 3), **{**settings, "padding": "valid"})
    model = drawn([flat], (11, 2))
    x = inputs(5, (11, 2))
    padding, gap, step = settings.get("padding", "valid"), settings.get("dilation", 1), settings.get("strides", 1)
    total = {"valid": 0, "same": (-(-11 // step) - 1) * step + 2 * gap + 1 - 11}.get(padding, 4)
    wide = np.pad(x, ((0, 0), (total // 2, total - total // 2), (0, 0)),
                  constant_values=settings.get("padding_value", 0))  # fmt: skip
    twin = nn.Sequential([image], input_shape=(1, *wide.shape[1:]))
    twin.astype("float64")
    twin.parameters = model.parameters
    np.testing.assert_allclose(model.predict(x), twin.predict(wide[:, None])[:, 0], rtol=1e-13)


def test_convolution_of_sequences_is_scipys_correlation():
    model = drawn([nn.Conv1D(1, 4, bias=None)], (9, 1))
    x = inputs(1, (9, 1))
    expected = signal.correlate(x[0, :, 0], model.get_weights()[0][:, 0, 0], mode="valid")
    np.testing.assert_allclose(model.predict(x)[0, :, 0], expected, rtol=1e-13)


@pytest.mark.parametrize(("layer", "how"), [(nn.MaxPool1D, np.max), (nn.AvgPool1D, np.mean)])
def test_pooling_of_sequences(layer, how):
    model = nn.Sequential([layer(3, 2)], input_shape=(9, 2))
    model.astype("float64")
    x = inputs(5, (9, 2))
    expected = how(np.lib.stride_tricks.sliding_window_view(x, 3, axis=1)[:, ::2], axis=-1)
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-13)


@pytest.mark.parametrize(("layer", "how"), [(nn.GlobalMaxPool, np.max), (nn.GlobalAvgPool, np.mean)])
@pytest.mark.parametrize("shape", [(4, 5, 3), (6, 2), (1, 1, 1)])
def test_global_pooling(layer, how, shape):
    model = nn.Sequential([layer()], input_shape=shape)
    model.astype("float64")
    x = inputs(5, shape)
    np.testing.assert_allclose(model.predict(x), how(x, axis=tuple(range(1, len(shape)))), rtol=1e-13)


def test_connections():
    """As if the weights of the missing ones were 0; the table says which channel feeds which filter."""
    table = np.array([[1, 0, 1], [0, 1, 1]], bool)
    model = drawn([nn.Conv2D(3, 2, connections=table)], (4, 4, 2))
    x = inputs(5, (4, 4, 2))
    only_first = x * [1, 0]
    np.testing.assert_allclose(model.predict(only_first)[..., 1], model.predict(0 * x)[..., 1])
    only_second = x * [0, 1]
    np.testing.assert_allclose(model.predict(only_second)[..., 0], model.predict(0 * x)[..., 0])
    assert (model.graph.count, model.graph.nodes[0].connections) == (4 * 4 + 3, 9 * (4 * 4 + 3))


def test_embedding():
    model = drawn([nn.Embedding(7, 3)], (2, 2))
    x = np.random.default_rng(0).integers(0, 7, (9, 2, 2))
    np.testing.assert_array_equal(model.predict(x), model.get_weights()[0][x])


def test_shapes_and_activations_alone():
    model = nn.Sequential([nn.Reshape((-1, 2)), nn.Apply("relu"), nn.Reshape(6)], input_shape=(3, 2))
    x = inputs(5, (3, 2), "float32")
    np.testing.assert_array_equal(model.predict(x), np.maximum(x, 0).reshape(5, 6))


def test_residual():
    inner = [nn.Apply("tanh"), nn.Dense(4, "relu"), nn.Dense(3)]
    model = drawn([nn.Dense(3), nn.Residual(inner), nn.Residual([nn.Dense(2)], [nn.Dense(2, use_bias=False)])], (5,))
    x = inputs(5, (5,))
    w = model.get_weights()
    y = x @ w[0] + w[1]
    y = y + np.maximum(np.tanh(y) @ w[2] + w[3], 0) @ w[4] + w[5]
    np.testing.assert_allclose(model.predict(x), y @ w[6] + w[7] + y @ w[8], rtol=1e-12)
    assert [p.name for p in model.graph.parameters][2:] == [
        "1.1.kernel", "1.1.bias", "1.2.kernel", "1.2.bias", "2.0.kernel", "2.0.bias", "2.1.kernel"]


def test_noise_is_for_training_only():
    model = nn.Sequential([nn.Dropout(0.5), nn.GaussianNoise(1.0), nn.SpatialDropout(0.5)], input_shape=(4, 3))
    x = inputs(5, (4, 3), "float32")
    np.testing.assert_array_equal(model.predict(x), x)


# -- gradients ------------------------------------------------------------------------------


def point():
    return nn.Conv2D(2, 1, "tanh")


STACKS = {
    "batch": ([point(), nn.BatchNorm(), nn.Apply("tanh")], (3, 4, 2)),
    "batch of vectors": ([nn.Dense(4), nn.BatchNorm(), nn.Dense(3, "tanh")], (3,)),
    "batch first": ([nn.BatchNorm(), nn.Dense(3, "tanh")], (3,)),
    "batch without parameters": ([point(), nn.BatchNorm(epsilon=0.1, scale=False, center=False), point()], (2, 3, 2)),
    "batch twice": ([nn.Dense(4), nn.BatchNorm(), nn.Apply("tanh"), nn.Dense(3), nn.BatchNorm(scale=False)], (3,)),
    "layer": ([nn.Conv2D(3, 1, "tanh"), nn.LayerNorm(), nn.Apply("tanh"), point()], (3, 2, 2)),
    "layer without scale": ([nn.Dense(5), nn.LayerNorm(scale=False), nn.Apply("tanh")], (4,)),
    "dropout": ([point(), nn.Dropout(0.4), point()], (3, 4, 2)),
    "spatial dropout": ([point(), nn.SpatialDropout(0.4), point()], (3, 4, 2)),
    "noise": ([point(), nn.GaussianNoise(0.4), point()], (3, 4, 2)),
    "residual": ([point(), nn.Residual([nn.Apply("tanh"), nn.Conv2D(2, 3, "tanh", padding="same")])], (3, 4, 2)),
    "residual with a shortcut": (
        [point(), nn.Residual([nn.BatchNorm(), nn.Conv2D(3, 3, "tanh", padding="same")], [nn.Conv2D(3, 1)]),
         nn.Residual([nn.LayerNorm(), nn.Apply("tanh")]), nn.Residual([nn.Residual([point(), nn.Conv2D(3, 1)])])],
        (3, 2, 2)),
    "sequences": ([nn.Conv1D(2, 1, "tanh"), nn.Conv1D(3, 3, "tanh", strides=2, padding="same", bias="unit"),
                   nn.MaxPool1D(2)], (9, 2)),
    "global mean": ([point(), nn.GlobalAvgPool()], (3, 4, 2)),
    "global maximum": ([nn.Conv1D(2, 2), nn.GlobalMaxPool(), nn.Reshape((2, 1)), nn.AvgPool1D(2)], (5, 2)),
    "connections": ([nn.Conv2D(3, 1, "tanh"), nn.Conv2D(2, 2, "tanh", connections=[[1, 0], [1, 1], [0, 1]])],
                    (3, 4, 2)),
}  # fmt: skip


def gradient_error(layers, shape, samples, X=None, **options):
    """Largest difference between the gradient and central differences, in the loss of random targets."""
    model = drawn([*layers, nn.Flatten(), nn.Dense(3)], shape)
    X, Y = inputs(samples, shape) if X is None else X, np.random.default_rng(2).normal(size=(samples, 3))
    trainer = nn.Trainer(model, "mean_squared_error", dtype="float64", **options)
    loss = lambda params: trainer.loss_and_gradient(X, Y, params=params)
    params = model.parameters.copy()
    _, gradient = loss(params)
    for p in model.graph.parameters:
        if not p.trained:
            assert not gradient[p.offset : p.end].any()
        if p.mask is not None:
            assert not (gradient[p.offset : p.end].reshape(p.shape) * ~p.mask).any()
    free = np.flatnonzero(gradient)
    steps = 1e-5 * np.eye(params.size)[free]
    if FEW:  # along one direction
        steps = steps.sum(axis=0, keepdims=True) / free.size**0.5
        gradient = steps @ gradient / 1e-5
    else:
        gradient = gradient[free]
    numeric = [(loss(params + step)[0] - loss(params - step)[0]) / 2e-5 for step in steps]
    return abs(gradient - numeric).max()


@pytest.mark.parametrize("samples", [3] if FEW else [3, 37])
@pytest.mark.parametrize("name", STACKS)
def test_gradient(name, samples):
    assert gradient_error(*STACKS[name], samples, threads=1) < 1e-7


@pytest.mark.parametrize("samples", [3] if FEW else [3, 37])
@pytest.mark.parametrize("name", STACKS)
def test_jacobian(name, samples):
    """Of the outputs with respect to the inputs, in prediction."""
    layers, shape = STACKS[name]
    model, x = drawn(layers, shape), inputs(samples, shape)
    found = model.jacobian(x)
    outputs = model.graph.output.shape
    assert found.shape == (samples, *outputs, *shape)
    found = found.reshape(samples, -1, x[0].size)
    for i in range(0, x[0].size, 7 if FEW else 1):
        step = np.zeros(x[0].size)
        step[i] = 1e-6
        step = step.reshape(shape)
        numeric = (model.predict(x + step) - model.predict(x - step)) / 2e-6
        np.testing.assert_allclose(found[:, :, i], numeric.reshape(samples, -1), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("samples", [3] if FEW else [3, 37])
@pytest.mark.parametrize("name", STACKS)
def test_gradient_of_weighted_outputs(name, samples):
    """Against differences of the weighted sum, along random directions of each sample."""
    layers, shape = STACKS[name]
    model, x = drawn(layers, shape), inputs(samples, shape)
    rng = np.random.default_rng(5)
    outputs = model.graph.output.shape
    each = rng.normal(size=(samples, *outputs))
    step = 1e-6 * rng.normal(size=x.shape)
    numeric = ((model.predict(x + step) - model.predict(x - step)) * each).reshape(samples, -1).sum(axis=1)
    found = model.gradient(x, each)
    assert found.shape == x.shape
    np.testing.assert_allclose((2 * step * found).reshape(samples, -1).sum(axis=1), numeric, rtol=1e-5, atol=1e-12)
    shared = model.gradient(x, each[0])
    full = model.jacobian(x).reshape(samples, -1, x[0].size)
    np.testing.assert_allclose(
        shared.reshape(samples, -1), np.einsum("k,nkf->nf", each[0].ravel(), full), rtol=1e-12, atol=1e-13
    )
    last = tuple(n - 1 for n in outputs)
    np.testing.assert_allclose(model.gradient(x, last).reshape(samples, -1), full[:, -1], rtol=1e-12, atol=1e-13)


def test_gradient_of_one_output():
    model, x = drawn([nn.Dense(4, "tanh"), nn.Dense(1)], (3,)), inputs(5, (3,))
    np.testing.assert_array_equal(model.gradient(x), model.jacobian(x)[:, 0])
    for index in (0, -1, (0,), np.int64(0), [1.0]):
        np.testing.assert_array_equal(model.gradient(x, index), model.gradient(x))


def test_gradient_in_single_precision():
    model = nn.Sequential([nn.Dense(4, "tanh"), nn.Dense(2)], input_shape=3)
    found = model.gradient(inputs(20, (3,)), 1)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, model.jacobian(inputs(20, (3,)))[:, 1])


@pytest.mark.parametrize(("output", "kind", "message"), [
    (None, ValueError, r"outputs of shape \(2,\); say which with output="),
    (2, IndexError, r"output=2 is no index of outputs of shape \(2,\)"),
    ((0, 0), IndexError, "is no index"),
    (-3, IndexError, "is no index"),
    (True, ValueError, r"output has shape \(\)"),
    ([1.0, 2.0, 3.0], ValueError, r"shape \(3,\); expected an index, or weights of shape \(2,\) or \(5, 2\)"),
    ([1.0, np.nan], ValueError, "output holds NaN"),
    ("first", TypeError, "output"),
])  # fmt: skip
def test_gradient_of_no_output(output, kind, message):
    model = drawn([nn.Dense(2)], (3,))
    with pytest.raises(kind, match=message):
        model.gradient(inputs(5, (3,)), output)


def test_derivatives_are_prepared_once(monkeypatch):
    """Until the model is another one."""
    from numbanet import slopes

    made = []

    def counted(graph, dtype):
        made.append(dtype)
        return new_jacobian(graph, dtype)

    new_jacobian = slopes.new_jacobian
    monkeypatch.setattr(slopes, "new_jacobian", counted)
    model, x = drawn([nn.Dense(2)], (3,)), inputs(5, (3,))
    for _ in range(3):
        model.jacobian(x)
        model.gradient(x, 0)
    model.parameters[:] *= 2  # weights are read anew
    np.testing.assert_allclose(model.jacobian(x)[0], model.get_weights()[0].T)
    assert made == ["float64"]
    model.astype("float32")
    assert model.jacobian(x).dtype == np.float32
    model.build((3,), dtype="float64", seed=1)
    np.testing.assert_allclose(model.jacobian(x)[0], model.get_weights()[0].T)
    assert made == ["float64", "float32", "float64"]
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.jacobian(x), model.jacobian(x))


def test_jacobian_of_indices():
    model = drawn([nn.Embedding(6, 3)], (4,))
    with pytest.raises(ValueError, match="indices of an Embedding have no derivative"):
        model.jacobian([[0, 1, 2, 3]])
    with pytest.raises(ValueError, match="indices of an Embedding have no derivative"):
        model.gradient([[0, 1, 2, 3]], (0, 0))


@compiled
@pytest.mark.parametrize("name", [name for name in STACKS if "batch" in name or "dropout" in name])
def test_gradient_of_a_team(name, small_steps_too):
    """Over more blocks than workers, the last one narrow."""
    for threads in (2, 3):
        assert gradient_error(*STACKS[name], 70, threads=threads) < 1e-7


def test_gradient_of_an_embedding():
    X = np.random.default_rng(0).integers(0, 5, (7, 4))
    assert gradient_error([nn.Embedding(6, 3), nn.Conv1D(2, 2, "tanh")], (4,), 7, X, threads=1) < 1e-7


# -- the batch as a whole -------------------------------------------------------------------


@compiled
@both_dtypes
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_batch_norm_is_of_the_whole_batch(threads, dtype, small_steps_too):
    """Outputs of training, and the step of the running averages, of a batch of many blocks."""
    samples = 333
    model = nn.Sequential([nn.BatchNorm(momentum=0.75, epsilon=0.01)], input_shape=(3,))
    X = (inputs(samples, (3,)) * [1, 10, 0.1] + [100, 0, -5]).astype(dtype)
    seen = {}
    watch = nn.Metric("watch", compute=lambda y, p, w: float(seen.update(outputs=p.copy()) is None))
    optimizer = nn.SGD(learning_rate=0.0)
    trainer = nn.Trainer(model, "mean_squared_error", optimizer, metrics=[watch], dtype=dtype, threads=threads)
    trainer.fit(X, np.zeros((samples, 3)), epochs=1, batch_size=samples, progress=False)
    wide = X.astype(float)
    tolerance = 1e-4 if dtype == "float32" else 1e-11
    expected = normalized(wide, wide.mean(0), wide.var(0), 0.01, 1, 0)
    np.testing.assert_allclose(seen["outputs"], expected, rtol=tolerance, atol=tolerance)
    mean, variance, gamma, beta = model.get_weights()
    np.testing.assert_allclose(mean, 0.25 * wide.mean(0), rtol=tolerance)
    np.testing.assert_allclose(variance, 0.75 + 0.25 * wide.var(0), rtol=tolerance)
    np.testing.assert_array_equal([gamma, beta], [[1] * 3, [0] * 3])


def fitted(layers, shape, *, samples=90, batch=32, epochs=2, optimizer="adam", dtype="float32", **options):
    model = nn.Sequential([*layers, nn.Flatten(), nn.Dense(3)])
    trainer = nn.Trainer(model, "softmax_cross_entropy", optimizer, seed=0, dtype=dtype, **options)
    trainer.fit(inputs(samples, shape, dtype), np.arange(samples) % 3, epochs=epochs, batch_size=batch, progress=False)
    return trainer


@compiled
@pytest.mark.parametrize("name", STACKS)
def test_same_bits_on_any_number_of_threads(name, small_steps_too):
    alone = fitted(*STACKS[name], threads=1, deterministic=True).model.parameters
    assert np.isfinite(alone).all()
    for threads in (2, 3):
        found = fitted(*STACKS[name], threads=threads, deterministic=True).model.parameters
        np.testing.assert_array_equal(found, alone)


@compiled
@pytest.mark.parametrize("optimizer", [nn.Adam(clip_norm=0.01), nn.SGD(0.1, clip_value=0.01), nn.AdamW(0.01)])
def test_running_averages_are_not_the_optimisers(optimizer):
    """They move by the momentum, whatever is clipped or decays; and don't count in the norm."""
    X, results = inputs(64, (4,)), []
    for offset in (0.0, 1e6):
        model = nn.Sequential([nn.BatchNorm(momentum=0.5), nn.Dense(3)])
        trainer = nn.Trainer(model, "softmax_cross_entropy", optimizer, dtype="float64", seed=0, regularizer="l2")
        trainer.fit(X + offset, np.arange(64) % 3, epochs=1, batch_size=64, progress=False)
        results.append(model.get_weights())
    np.testing.assert_allclose(results[1][0], 0.5 * (X + 1e6).mean(0))
    np.testing.assert_allclose(results[0][1], 0.5 + 0.5 * X.var(0))
    for plain, moved in zip(results[0][2:], results[1][2:], strict=True):  # the means did not make the norm larger
        np.testing.assert_allclose(moved, plain, atol=1e-6)


@compiled
def test_large_model_with_batch_norm(small_steps_too):
    """Where gradients are used up as they come."""
    layers = [nn.Dense(200), nn.BatchNorm(), nn.Apply("relu"), nn.Dense(200, "relu")]
    alone = fitted(layers, (64,), threads=1, deterministic=True)
    assert alone.model.graph.size > 32768
    both = fitted(layers, (64,), threads=2, deterministic=True)
    np.testing.assert_array_equal(both.model.parameters, alone.model.parameters)


@compiled
@pytest.mark.parametrize("name", [spec.name for spec in numbanet_optimizers()])
def test_what_is_not_connected_stays_zero(name):
    table = [[1, 0], [1, 1], [0, 1]]
    trainer = fitted([nn.Conv2D(2, 2, connections=table)], (4, 4, 3), optimizer=name, regularizer="l1")
    kernel = trainer.model.get_weights()[0]
    assert not (kernel * ~np.array(table, bool)).any()
    assert kernel.any()


# -- chance ---------------------------------------------------------------------------------


def training_outputs(layers, X, *, batch, threads=1, seed=0, epochs=1):
    """What the last epoch's training pass gives each sample, without a parameter."""
    seen = {}
    watch = nn.Metric("watch", compute=lambda y, p, w: float(seen.update(outputs=p.copy()) is None))
    model = nn.Sequential([*layers, nn.Flatten(), nn.Residual([nn.Dense(X[0].size, kernel_initializer="zeros")])])
    trainer = nn.Trainer(model, "mean_squared_error", nn.SGD(0.0), metrics=[watch], threads=threads, seed=seed)
    trainer.fit(X, X.reshape(len(X), -1), epochs=epochs, batch_size=batch, progress=False)
    return seen["outputs"].reshape(X.shape)


@compiled
def test_chance_depends_on_the_sample_alone(small_steps_too):
    """Not on the order, the block or the thread: one step of all samples."""
    X = np.abs(inputs(101, (6, 4), "float32")) + 1
    layers = [nn.Dropout(0.3), nn.GaussianNoise(0.1)]
    first = training_outputs(layers, X, batch=101)
    for threads in (2, 3):
        np.testing.assert_array_equal(training_outputs(layers, X, batch=101, threads=threads), first)
    assert (training_outputs(layers, X, batch=101, seed=1) != first).mean() > 0.3
    assert (training_outputs(layers, X, batch=101, epochs=2) != first).mean() > 0.3  # another step
    # the first batch of one that is not shuffled
    np.testing.assert_array_equal(training_outputs(layers, X[:16], batch=16), first[:16])


@compiled
def test_dropout_drops_as_often_as_it_says():
    X = np.ones((400, 50), "float32")
    y = training_outputs([nn.Dropout(0.3)], X, batch=400)
    assert set(np.unique(y)) == {0, np.float32(1 / 0.7)}
    dropped = y == 0
    assert stats.binomtest(int(dropped.sum()), dropped.size, 0.3).pvalue > 1e-3
    for axis in (0, 1):  # no sample and no unit has its favourites
        counts, n = dropped.sum(axis), dropped.shape[axis]
        assert stats.chisquare(counts, np.full(counts.size, dropped.mean() * n)).pvalue > 1e-4
    pairs = np.corrcoef(dropped[:, :20].T) - np.eye(20)
    assert abs(pairs).max() < 5 / 400**0.5


@compiled
def test_spatial_dropout_drops_channels():
    y = training_outputs([nn.SpatialDropout(0.5)], np.ones((60, 3, 4, 5), "float32"), batch=60)
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1, :1], y.shape))
    assert 0.4 < (y == 0).mean() < 0.6


@compiled
def test_gaussian_noise_is_normal():
    X = np.zeros((500, 40), "float32")
    noise = training_outputs([nn.GaussianNoise(2.0)], X, batch=500)
    assert stats.kstest(noise.ravel() / 2, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(noise[:, :20].T) - np.eye(20)).max() < 5 / 500**0.5


def test_normal_is_the_quantile():
    """At every number that it may be given, the first and the last included."""
    numbers = np.concatenate([np.arange(0, 1 << 23, 9973), np.arange(99), (1 << 23) - 1 - np.arange(99)])
    u = ((numbers + 0.5) * 2.0**-23).astype("float32")
    assert u.max() < 1
    model = nn.Sequential([nn.Apply(nn.Activation("own_quantile", forward=normal))], input_shape=(1,))
    found = model.predict(u[:, None])[:, 0]
    np.testing.assert_allclose(found, stats.norm.ppf(u.astype(float)), rtol=2e-5, atol=2e-6)


# -- saving, summaries, mistakes ------------------------------------------------------------


@pytest.mark.parametrize("name", STACKS)
def test_saved_and_loaded(name, tmp_path):
    layers, shape = STACKS[name]
    model = drawn(layers, shape, "float32")
    model.save(tmp_path / "model.numbanet")
    again = nn.load(tmp_path / "model.numbanet")
    x = inputs(3, shape, "float32")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert again.summary() == model.summary()


def test_summary_of_running_averages():
    model = nn.Sequential([nn.Conv2D(4, 3), nn.BatchNorm(), nn.Flatten(), nn.Dropout(0.5)], input_shape=(5, 5, 1))
    assert model.summary().splitlines()[-1] == (
        "48 parameters and 8 running averages, 360 connections, 648 FLOPs a sample, float32")


@pytest.mark.parametrize(("layers", "shape", "message"), [
    ([nn.Conv1D(3, 5)], (4, 2), r"layer 0 \(Conv1D\): a window of \(5,\) .* does not fit samples of \(4,\)"),
    ([nn.Conv1D(3, 5)], (9,), r"layer 0 \(Conv1D\) takes samples of shape \(length, channels\), got shape \(9,\); "),
    ([nn.Conv2D(3, 5)], (9, 9), r"layer 0 \(Conv2D\) takes .* got shape \(9, 9\); give the samples a last axis"),
    ([nn.Conv2D(2, 2, connections=[[1, 1], [0, 1]])], (4, 4, 3),
     r"layer 0 \(Conv2D\): connections has shape \(2, 2\), for 2 input channels; samples of shape \(4, 4, 3\) have 3"),
    ([nn.Reshape((4, 2))], (9,), r"layer 0 \(Reshape\): samples of shape \(9,\), 9 elements, can't take the shape"),
    ([nn.Reshape((-1, 2))], (9,), "9 elements, can't take"),
    ([nn.SpatialDropout(0.5)], (9,), "use Dropout"),
    ([nn.GlobalMaxPool()], (9,), r"layer 0 \(GlobalMaxPool\) takes samples of shape"),
    ([nn.Dense(4), nn.Embedding(3, 2)], (9,), r"layer 1 \(Embedding\) takes indices, and must be the first"),
    ([nn.Dense(4), nn.Residual([nn.Dense(3)])], (9,), r"layer 1 \(Residual\): its layers give shape \(3,\), the short"),
    ([nn.Residual([nn.Flatten(), nn.Conv2D(3, 3)])], (9, 9, 1), r"layer 0\.1 \(Conv2D\) takes samples of shape"),
])  # fmt: skip
def test_what_does_not_fit(layers, shape, message):
    with pytest.raises(ValueError, match=message):
        nn.Sequential(layers, input_shape=shape)


@pytest.mark.parametrize(("make", "error", "message"), [
    (lambda: nn.Dropout(1.0), ValueError, "rate must be at least 0 and below 1, got 1.0"),
    (lambda: nn.SpatialDropout(-0.1), ValueError, "rate"),
    (lambda: nn.GaussianNoise(-1), ValueError, "stddev"),
    (lambda: nn.BatchNorm(momentum=1.0), ValueError, "momentum"),
    (lambda: nn.BatchNorm(epsilon=0), ValueError, "epsilon"),
    (lambda: nn.LayerNorm(epsilon=-1), ValueError, "epsilon"),
    (lambda: nn.Embedding(0, 3), ValueError, "input_dim"),
    (lambda: nn.Embedding(1 << 25, 3), ValueError, "input_dim must be at most 16777216"),
    (lambda: nn.Reshape((0, 3)), ValueError, "shape"), (lambda: nn.Reshape((-1, -1)), ValueError, "-1 once"),
    (lambda: nn.Residual([]), ValueError, "layers is empty"), (lambda: nn.Residual(["relu"]), TypeError, "'relu'"),
    (lambda: nn.Conv1D(3, (2, 2)), ValueError, r"kernel_size must be a whole number, got \(2, 2\)"),
    (lambda: nn.Conv2D(3, 2, connections=[[1, 0]]), ValueError, r"shape \(input channels, 3\).* shape \(1, 2\)"),
    (lambda: nn.Conv2D(2, 2, connections=[[1, 2]]), ValueError, "table of True and False"),
    (lambda: nn.Conv2D(2, 2, connections=[[1, 0]]), ValueError, "filter 1 without an input channel"),
    (lambda: nn.Apply("tanch"), ValueError, "tanch"),
])  # fmt: skip
def test_bad_settings(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_what_is_no_index():
    model = nn.Sequential([nn.Embedding(4, 2), nn.Flatten(), nn.Dense(2)])
    trainer = nn.Trainer(model, "softmax_cross_entropy")
    for bad in (4, -1, 1.5):
        with pytest.raises(ValueError, match=rf"X holds {bad:g} at row 1, column 2; .* whole numbers from 0 to 3"):
            trainer.fit([[0, 1, 2], [3, 0, bad]], [0, 1], progress=False)
    model.build((3,))
    with pytest.raises(ValueError, match="whole numbers from 0 to 3"):
        model.predict(np.full((1, 3), 7, "float32"))


def test_weights_where_there_is_no_connection(tmp_path):
    model = nn.Sequential([nn.Conv2D(2, 1, connections=[[1, 0], [1, 1]])], input_shape=(2, 2, 2))
    weights = model.get_weights()
    assert weights[0][0, 0, 0, 1] == 0
    weights[0][:] = 1
    wrong = np.ones(model.graph.size, "float32")
    X, y = np.ones((1, 2, 2, 2)), np.ones((1, 8))
    with pytest.raises(ValueError, match=r"weights '0.kernel' is not 0 at \(0, 0, 0, 1\)"):
        model.set_weights(weights)
    with pytest.raises(ValueError, match="connections have none"):
        model.parameters = wrong
    flat = nn.Sequential([*model.layers, nn.Flatten()], input_shape=(2, 2, 2))
    trainer = nn.Trainer(flat, "mean_squared_error")
    with pytest.raises(ValueError, match="connections have none"):
        trainer.loss_and_gradient(X, y, wrong)
    flat.parameters[:] = 1
    with pytest.raises(ValueError, match="connections have none"):
        flat.save(tmp_path / "wrong.numbanet")
    assert not list(tmp_path.iterdir())


def test_noise_of_the_loss_is_the_seeds():
    X, y = inputs(9, (6,)), np.arange(9) % 3
    losses = []
    for seed in (0, 0, 1):
        model = nn.Sequential([nn.Dropout(0.5), nn.Dense(3)], input_shape=(6,))
        trainer = nn.Trainer(model, "softmax_cross_entropy", dtype="float64", seed=seed)
        losses.append(trainer.loss_and_gradient(X, y)[0])
        assert trainer.loss_and_gradient(X, y)[0] == losses[-1]
    assert losses[0] == losses[1] != losses[2]


def test_gradient_of_nothing():
    trainer = nn.Trainer(nn.Sequential([nn.LayerNorm(scale=False, center=False)]), "mean_squared_error")
    loss, gradient = trainer.loss_and_gradient([[1.0, 3.0]], [[0.0, 0.0]])
    assert (round(loss, 2), gradient.size) == (1.0, 0)


def test_weights_of_one_node_lie_together():
    class Backwards(nn.Layer):
        def build(self, graph):
            start = nn.initializer("zeros")
            bias = graph.parameter("bias", (2,), start, fan_in=1, fan_out=1)
            kernel = graph.parameter("kernel", (3, 2), start, fan_in=3, fan_out=2)
            graph.node("dense", (2,), (kernel, bias))

    with pytest.raises(ValueError, match="must be declared right behind"):
        nn.Sequential([Backwards()], input_shape=(3,))


def test_kinds_of_nodes_without_kernels():
    class Odd(nn.Layer):
        def build(self, graph):
            graph.node("odd", graph.output.shape)

    with pytest.raises(ValueError, match=r"no kernels for a node of kind 'odd' \(.*\); known: dense, "):
        nn.Sequential([Odd()], input_shape=(3,)).predict([[1.0, 2.0, 3.0]])


@pytest.mark.parametrize(("kind", "message"), [
    ("no_such_module:PAIR", "No module named 'no_such_module'"), ("numbanet.graph:PAIR", "has no attribute 'PAIR'"),
    ("numbanet.graph:math", "cannot unpack"), ("a:b:c", "too many values"),
])
def test_kinds_of_a_plugin_that_are_not_there(kind, message):
    class Odd(nn.Layer):
        def build(self, graph):
            graph.node(kind, graph.output.shape)

    with pytest.raises(ValueError, match=f"no kernels for a node of kind '{kind}' .*{message}"):
        nn.Sequential([Odd()], input_shape=(3,)).predict([[1.0, 2.0, 3.0]])


def test_a_layer_made_of_known_nodes():
    class Scaled(nn.Layer):
        def build(self, graph):
            width = graph.output.shape[-1]
            gamma = graph.parameter("gamma", (width,), nn.initializer("ones"), fan_in=1, fan_out=1)
            graph.node("affine", graph.output.shape, (gamma,))

    model = nn.Sequential([Scaled()], input_shape=(3,))
    model.parameters[:] = [1, 2, 3]
    np.testing.assert_array_equal(model.predict([[1.0, 1.0, 2.0]]), [[1, 2, 6]])


def test_where_nan_began_with_noise():
    model = nn.Sequential([nn.Dense(4), nn.GaussianNoise(1e38), nn.Dense(3)])
    trainer = nn.Trainer(model, "mean_squared_error", seed=0)
    with pytest.raises(FloatingPointError, match="without noise and with running averages"):
        trainer.fit(inputs(64, (5,)), np.ones((64, 3)), progress=False)


# -- the networks of the literature ---------------------------------------------------------


def test_lecun_1989():
    model = nn.models.lecun1989()
    model.build((16, 16, 1))
    graph = model.graph
    assert graph.count == 9760
    assert sum(node.connections for node in graph.nodes) == 64660
    layers = [sum(p.count for p in graph.parameters if p.name[0] == digit) for digit in "0134"]
    assert layers == [1068, 2592, 5790, 310]
    first, _, second, *_ = model.get_weights()
    assert abs(first).max() <= 2.4 / 25
    assert 0.9 * 2.4 / 200 < abs(second).max() <= 2.4 / 200
    assert ((second != 0).any(axis=(0, 1)).sum(axis=0) == 8).all()
    assert model.predict(np.zeros((1, 16, 16, 1))).shape == (1, 10)


def test_lenet_5():
    model = nn.models.lenet5(activation="tanh")
    model.build((28, 28, 1))
    assert model.graph.count == 61706
    assert isinstance(model.graph, Graph)
    assert math.isclose(sum(2 * n.products for n in model.graph.nodes), 833040)
