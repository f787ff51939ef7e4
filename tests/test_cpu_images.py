"""Convolutions, padding and pooling against NumPy and SciPy, and their gradients against differences."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import config
from scipy import signal

import numbanet as nn
from numbanet.cpu import host, runner
from numbanet.cpu.dots import ROWS, dots
from numbanet.cpu.jit import kernel

DTYPES = ("float32", "float64")
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)
compiled = pytest.mark.compiled  # plain Python would take minutes


# -- an oracle ------------------------------------------------------------------------------


def windows(x, size, strides, dilation):
    """Every window of every image, of shape (n, rows, columns, *size, channels)."""
    spans = [(s - 1) * d + 1 for s, d in zip(size, dilation, strict=True)]
    rows, columns = ((length - span) // step + 1
                     for length, span, step in zip(x.shape[1:3], spans, strides, strict=True))
    out = np.empty((len(x), rows, columns, *size, x.shape[3]), x.dtype)
    for i in range(rows):
        for j in range(columns):
            top, left = i * strides[0], j * strides[1]
            out[:, i, j] = x[:, top : top + spans[0] : dilation[0], left : left + spans[1] : dilation[1]]
    return out


def padded(x, layer):
    """With the margin that the layer's documentation promises."""
    if layer.padding == "valid":
        return x
    margins = []
    for axis in range(2):
        total = 2 * layer.padding if layer.padding != "same" else 0
        if layer.padding == "same":
            length, step = x.shape[1 + axis], layer.strides[axis]
            span = (layer.kernel_size[axis] - 1) * layer.dilation[axis] + 1
            total = max(0, (-(-length // step) - 1) * step + span - length)
        margins.append((total // 2, total - total // 2))
    return np.pad(x, ((0, 0), *margins, (0, 0)), constant_values=layer.padding_value)


def convolve(x, layer, weights):
    seen = windows(padded(x, layer), layer.kernel_size, layer.strides, layer.dilation)
    y = np.einsum("nijklc,klcu->niju", seen, weights[0])
    return y + weights[1] if len(weights) > 1 else y


def pool(x, layer):
    seen = windows(x, layer.pool_size, layer.strides, (1, 1))
    return seen.max(axis=(3, 4)) if isinstance(layer, nn.MaxPool2D) else seen.mean(axis=(3, 4))


def drawn(layers, shape, dtype, seed=0):
    """Model whose weights, and biases, are all different."""
    model = nn.Sequential(layers)
    model.build(shape, dtype=dtype, seed=seed)
    model.parameters = np.random.default_rng(seed).normal(0, 0.5, model.graph.size)
    return model


# -- the tile of dot products ---------------------------------------------------------------


@kernel
def call(a, starts, b, bo, b_row, lanes, n1, a1, b1, n2, a2, b2, n3, a3, b3, c, co, c_row, rows, columns, accumulate):
    dots(a, starts, b, bo, b_row, lanes, n1, a1, b1, n2, a2, b2, n3, a3, b3, c, co, c_row, rows, columns, accumulate)


@both_dtypes
@given(data=st.data(), seed=st.integers(0, 99), counts=st.tuples(*[st.integers(1, 3)] * 3), accumulate=st.booleans())
def test_dots(dtype, data, seed, counts, accumulate):
    """Small integers: to the last bit, whatever the order."""
    rng, tile = np.random.default_rng(seed), host.tile(dtype)
    lanes = data.draw(st.sampled_from([tile.narrow, tile.vector, tile.lanes]))
    rows = data.draw(st.integers(1, ROWS))
    columns = data.draw(st.integers(1, tile.sums[1]))
    n1, n2, n3 = counts
    # row, block, position, ... of A; block, position, column of B
    a = rng.integers(-8, 9, (rows, n3, n2, n1, lanes)).astype(dtype)
    b = rng.integers(-8, 9, (n3, n2, n1, columns, lanes)).astype(dtype)
    c = np.full((rows + 1, columns + 2), -77.0, dtype)
    expected = c.copy()
    sums = np.einsum("rijkl,ijkcl->rc", a, b)
    expected[:rows, 1:-1] = sums + (c[:rows, 1:-1] if accumulate else 0)
    starts = tuple(min(m, rows - 1) * a[0].size for m in range(ROWS))
    step = columns * lanes
    call(a.ravel(), starts, b.ravel(), 0, lanes, lanes, n1, lanes, step, n2, n1 * lanes, n1 * step,
         n3, n2 * n1 * lanes, n2 * n1 * step, c.ravel(), 1, columns + 2, rows, columns, int(accumulate))  # fmt: skip
    np.testing.assert_array_equal(c, expected)


# -- layers forward -------------------------------------------------------------------------

CONVOLUTIONS = {
    "3x3": ((6, 7, 2), {"filters": 5, "kernel_size": 3}),
    "one pixel": ((1, 1, 3), {"filters": 4, "kernel_size": 1}),
    "as large as the image": ((5, 4, 2), {"filters": 3, "kernel_size": (5, 4)}),
    "strides": ((9, 8, 3), {"filters": 4, "kernel_size": (3, 2), "strides": (2, 3)}),
    "dilation": ((9, 11, 2), {"filters": 7, "kernel_size": 3, "dilation": (2, 3), "strides": (1, 2)}),
    "same": ((7, 6, 2), {"filters": 3, "kernel_size": (3, 4), "padding": "same"}),
    "same with strides": ((7, 10, 1), {"filters": 2, "kernel_size": 3, "strides": (2, 3), "padding": "same"}),
    "a margin of -1": ((8, 8, 1), {"filters": 13, "kernel_size": 5, "padding": 2, "padding_value": -1.0, "strides": 2}),
    "a bias for every unit": ((5, 6, 2), {"filters": 3, "kernel_size": 2, "bias": "unit"}),
    "no bias": ((5, 6, 2), {"filters": 17, "kernel_size": 2, "bias": None}),
    "dilated without bias": ((6, 6, 1), {"filters": 2, "kernel_size": 2, "dilation": 2, "bias": None}),
}
POOLS = {"2x2": (2,), "overlapping": (3, 1), "left over": ((2, 3), (3, 4)), "whole": ((7, 9),)}


@both_dtypes
@pytest.mark.parametrize("samples", [1, 3] if config.DISABLE_JIT else [1, 9, 37])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(name, samples, dtype):
    shape, settings = CONVOLUTIONS[name]
    layer = nn.Conv2D(**settings)
    model = drawn([layer], shape, dtype)
    x = np.random.default_rng(1).normal(size=(samples, *shape)).astype(dtype)
    expected = convolve(x.astype(float), layer, [w.astype(float) for w in model.get_weights()])
    y = model.predict(x)
    assert y.shape == expected.shape
    tolerance = 200 * np.finfo(dtype).eps
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)


@compiled
@both_dtypes
@given(data=st.data(), seed=st.integers(0, 99))
def test_convolution_of_any_geometry(dtype, data, seed):
    """Small integers: to the last bit, whatever the order."""
    draw = lambda most: data.draw(st.integers(1, most))
    layer = nn.Conv2D(
        draw(20), (draw(4), draw(4)), strides=(draw(3), draw(3)), dilation=(draw(3), draw(2)), padding_value=-2.0,
        padding=data.draw(st.sampled_from(["valid", "same", 1, 3])), bias=data.draw(st.sampled_from(["unit", None])),
    )  # fmt: skip
    span = [(size - 1) * gap + 1 for size, gap in zip(layer.kernel_size, layer.dilation, strict=True)]
    shape = span[0] + draw(6) - 1, span[1] + draw(6) - 1, draw(5)
    model = nn.Sequential([layer], input_shape=shape)
    model.astype(dtype)
    rng = np.random.default_rng(seed)
    model.parameters = rng.integers(-4, 5, model.graph.size)
    x = rng.integers(-4, 5, (draw(70), *shape)).astype(dtype)
    np.testing.assert_array_equal(model.predict(x), convolve(x, layer, model.get_weights()))


def test_convolution_is_scipys_correlation():
    model = drawn([nn.Conv2D(1, (3, 4), bias=None)], (9, 8, 1), "float64")
    x = np.random.default_rng(0).normal(size=(2, 9, 8, 1))
    for image, y in zip(x, model.predict(x), strict=True):
        expected = signal.correlate(image[..., 0], model.get_weights()[0][..., 0, 0], mode="valid")
        np.testing.assert_allclose(y[..., 0], expected, rtol=1e-12, atol=1e-12)


@both_dtypes
@pytest.mark.parametrize("kind", [nn.MaxPool2D, nn.AvgPool2D])
@pytest.mark.parametrize("name", POOLS)
def test_pooling(name, kind, dtype):
    layer = kind(*POOLS[name])
    model = nn.Sequential([layer], input_shape=(7, 9, 3))
    model.astype(dtype)
    x = np.random.default_rng(0).normal(size=(3 if config.DISABLE_JIT else 35, 7, 9, 3)).astype(dtype)
    np.testing.assert_allclose(model.predict(x), pool(x, layer), rtol=8 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)


def test_a_maximum_of_what_is_no_number():
    """NaN stays visible, wherever in the window it is."""
    root = nn.Activation("own_root", forward=lambda x: math.sqrt(x))
    model = nn.Sequential([nn.Conv2D(1, 1, root, bias=None), nn.MaxPool2D(2)])
    model.build((4, 4, 1), dtype="float64")
    model.parameters = [1.0]
    x = np.ones((4, 4, 4, 1))
    for i in range(4):
        x[i, i // 2, i % 2] = -1
    y = model.predict(x)
    assert np.isnan(y[:, 0, 0]).all()
    np.testing.assert_array_equal(y[:, 1], 1)


# -- gradients ------------------------------------------------------------------------------


def gradient_error(layers, shape, samples=5, threads=1):
    """Largest difference between the gradient and central differences, in the loss of random targets."""
    model = drawn([*layers, nn.Flatten(), nn.Dense(3)], shape, "float64")
    rng = np.random.default_rng(2)
    X, Y = rng.normal(size=(samples, *shape)), rng.normal(size=(samples, 3))
    trainer = nn.Trainer(model, "mean_squared_error", dtype="float64", threads=threads)
    loss = lambda params: trainer.loss_and_gradient(X, Y, params=params)
    params = model.parameters.copy()
    _, gradient = loss(params)
    steps = 1e-5 * np.eye(params.size)
    if config.DISABLE_JIT:  # along one direction
        steps = 1e-5 * rng.normal(size=(1, params.size)) / params.size**0.5
        gradient = steps @ gradient / 1e-5
    numeric = [(loss(params + step)[0] - loss(params - step)[0]) / 2e-5 for step in steps]
    return abs(gradient - numeric).max()


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_gradient_of_a_convolution(name):
    """Of its own weights, and of those of the layer before."""
    shape, settings = CONVOLUTIONS[name]
    layers = [nn.Conv2D(shape[2], 1, "tanh"), nn.Conv2D(**settings, activation="tanh")]
    assert gradient_error(layers, shape) < 1e-7


@pytest.mark.parametrize("kind", [nn.MaxPool2D, nn.AvgPool2D])
@pytest.mark.parametrize("name", POOLS)
def test_gradient_of_pooling(name, kind):
    assert gradient_error([nn.Conv2D(2, 1, "tanh"), kind(*POOLS[name])], (7, 9, 1)) < 1e-7


@compiled
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_gradient_of_many_blocks(threads, monkeypatch):
    """A batch that fills no whole number of blocks, on several workers."""
    monkeypatch.setattr(runner, "SMALL_STEP", 0)
    layers = [nn.Conv2D(3, 3, "tanh", padding="same"), nn.MaxPool2D(), nn.Conv2D(4, 2, "softplus")]
    assert gradient_error(layers, (6, 6, 2), 101, threads) < 1e-7


def test_ties_go_to_the_first():
    model = nn.Sequential([nn.Conv2D(1, 1, bias=None), nn.MaxPool2D(2), nn.Flatten()])
    model.build((2, 2, 1), dtype="float64")
    model.parameters = [2.0]
    trainer = nn.Trainer(model, "mean_squared_error", dtype="float64")
    _, gradient = trainer.loss_and_gradient(np.full((1, 2, 2, 1), 3.0), [[5.0]])
    np.testing.assert_allclose(gradient, [2 * (6.0 - 5.0) * 3.0])  # not four times as much


# -- training -------------------------------------------------------------------------------


def lenet():
    return nn.Sequential([
        nn.Conv2D(4, 3, "relu"), nn.MaxPool2D(), nn.Conv2D(6, 2, "relu"), nn.Flatten(),
        nn.Dense(10, "relu"), nn.Dense(3),
    ])  # fmt: skip


def trained(**options):
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    X = rng.normal(size=(90, 8, 8, 1)).astype("float32")
    X[np.arange(90), 2 * y, 3] += 4  # each class has its place
    trainer = nn.Trainer(lenet(), "softmax_cross_entropy", nn.Adam(0.01), metrics=["accuracy"], seed=0, **options)
    trainer.fit(X, y, epochs=30, batch_size=32, progress=False)
    return trainer


@compiled
def test_a_network_learns():
    assert trained().history["accuracy"][-1] > 0.98


@compiled
def test_same_bits_on_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(runner, "SMALL_STEP", 0)
    alone = trained(threads=1, deterministic=True).model.parameters
    for threads in (2, 3):
        np.testing.assert_array_equal(trained(threads=threads, deterministic=True).model.parameters, alone)


@compiled
def test_training_after_one_that_failed():
    """What a failed step leaves in the gradients is not added to."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 8, 8, 1)).astype("float32"), np.arange(40) % 3
    trainer = nn.Trainer(lenet(), "softmax_cross_entropy", nn.SGD(1e30), seed=0)
    with pytest.raises(FloatingPointError, match="no longer finite"):
        trainer.fit(X, y, epochs=3, batch_size=8, progress=False)
    trainer.learning_rate = 0.01
    trainer._engine._runner.buffers["grads"][:] = np.nan
    trainer.fit(X, y, epochs=1, batch_size=8, progress=False)
    assert np.isfinite(trainer.model.parameters).all()


@compiled
def test_saved_and_loaded(tmp_path):
    model = trained().model
    model.save(tmp_path / "lenet.numbanet")
    again = nn.load(tmp_path / "lenet.numbanet")
    x = np.random.default_rng(5).normal(size=(3, 8, 8, 1)).astype("float32")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert again.summary() == model.summary()


# -- bad geometry ---------------------------------------------------------------------------


@pytest.mark.parametrize(("layers", "shape", "message"), [
    ([nn.Conv2D(3, 5)], (4, 9, 1), r"layer 0 \(Conv2D\): a window of \(5, 5\).* does not fit samples of \(4, 9\)"),
    ([nn.Conv2D(3, 3, dilation=4)], (8, 9, 1), r"dilation \(4, 4\) does not fit samples of \(8, 9\)"),
    ([nn.Conv2D(3, 3)], (9,), r"layer 0 \(Conv2D\) takes samples of shape \(height, width, .*got shape \(9,\)"),
    ([nn.Conv2D(3, 3), nn.MaxPool2D(8)], (9, 9, 1), r"layer 1 \(MaxPool2D\): a window of \(8, 8\) .* \(7, 7\)"),
    ([nn.Flatten(), nn.AvgPool2D()], (9, 9, 1), r"layer 1 \(AvgPool2D\) takes samples of shape .* got shape \(81,\)"),
    ([nn.Conv2D(3, 3), nn.Dense(2)], (9, 9, 1), r"layer 1 \(Dense\) takes samples of one axis, got shape \(7, 7, 3\)"),
])  # fmt: skip
def test_what_does_not_fit(layers, shape, message):
    with pytest.raises(ValueError, match=message):
        nn.Sequential(layers, input_shape=shape)


@pytest.mark.parametrize(("settings", "error", "message"), [
    ({"kernel_size": 0}, ValueError, "kernel_size"), ({"kernel_size": (2, 3, 4)}, ValueError, "kernel_size"),
    ({"kernel_size": "3"}, TypeError, "kernel_size"), ({"kernel_size": 2, "strides": 0}, ValueError, "strides"),
    ({"kernel_size": 2, "dilation": (1, -1)}, ValueError, "dilation"),
    ({"kernel_size": 2, "padding": "full"}, ValueError, "padding must be 'valid', 'same' or a whole .* got 'full'"),
    ({"kernel_size": 2, "padding": -1}, ValueError, "padding"),
    ({"kernel_size": 2, "padding_value": np.nan}, ValueError, "padding_value"),
    ({"kernel_size": 2, "bias": True}, ValueError, "bias must be 'channel', 'unit' or None, got True"),
])  # fmt: skip
def test_bad_settings(settings, error, message):
    with pytest.raises(error, match=message):
        nn.Conv2D(3, **settings)
