"""Networks inside other compiled code, against the model's own predictions."""

import ctypes
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numba
import numpy as np
import pytest
from numba import config, prange
from numba.core.errors import TypingError
from scipy import integrate, ndimage

import numbanet as nn
from numbanet.export import to_cfunc, to_njit
from numbanet.registry import names

compiled = pytest.mark.compiled
DTYPES = ("float32", "float64")
MODELS = {
    "dense": ([nn.Dense(7, "relu"), nn.Dense(33, "tanh"), nn.Dense(3)], (5,)),
    "no bias": ([nn.Dense(9, "gelu", use_bias=False), nn.Dense(1)], (4,)),
    "softmax": ([nn.Dense(6, "leaky_relu"), nn.Dense(5), nn.Apply("softmax")], (3,)),
    "one element": ([nn.Dense(1)], (1,)),
    "wide": ([nn.Dense(130, "sigmoid"), nn.Dense(67)], (70,)),
    "residual": (
        [nn.Dense(6), nn.Residual([nn.Dense(6, "softplus")]), nn.Residual([nn.Dense(4)], shortcut=[nn.Dense(4)])], (3,)
    ),
    "normalized": ([nn.Dense(8), nn.BatchNorm(), nn.Apply("relu"), nn.Dense(6), nn.LayerNorm(), nn.Dropout(0.5)], (4,)),
    "convolution": (
        [nn.Conv2D(5, 3, "relu", padding="same"), nn.MaxPool2D(2), nn.Conv2D(9, 2, strides=2), nn.Flatten(),
         nn.Dense(3)], (6, 7, 2)
    ),
    "one axis": ([nn.Conv1D(4, 3, dilation=2), nn.AvgPool1D(2), nn.Reshape((12,)), nn.Dense(2)], (10, 2)),
    "global": ([nn.Conv2D(3, 2, bias="unit"), nn.GlobalAvgPool(), nn.Dense(2)], (4, 4, 1)),
}  # fmt: skip


def drawn(name, dtype="float32"):
    """A model with weights that all differ, and samples."""
    layers, shape = MODELS[name]
    model = nn.Sequential(layers)
    model.build(shape, dtype=dtype, seed=1)
    rng = np.random.default_rng(2)
    model.parameters[:] = rng.normal(0, 0.5, model.parameters.size)
    for p in model.graph.parameters:
        if p.role == "variance":
            model.parameters[p.offset : p.end] = rng.uniform(0.5, 2, p.size)
    return model, rng.normal(size=(9, *shape)).astype(dtype)


def close(found, expected, dtype):
    tolerance = 200 * np.finfo(dtype).eps
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MODELS)
def test_functions_give_what_the_model_gives(name, dtype):
    model, X = drawn(name, dtype)
    functions = to_njit(model)
    assert functions.dtype == dtype
    assert functions.input_shape == X.shape[1:]
    expected, slopes = model.predict(X), model.jacobian(X)
    out, slope = np.full(expected[0].shape, np.nan, dtype), np.full(slopes[0].shape, np.nan, dtype)
    for i in range(2):
        functions.predict(model.parameters, X[i], out)
        functions.jacobian(model.parameters, X[i], slope)
        close(out, expected[i], dtype)
        close(slope, slopes[i], dtype)
    batch = np.full(expected.shape, np.nan, dtype)
    functions.predict_batch(model.parameters, X, batch)
    np.testing.assert_array_equal(batch, expected)


@pytest.mark.parametrize("name", names("activation"))
def test_every_activation(name):
    model = nn.Sequential([nn.Dense(5, name), nn.Dense(2)], input_shape=3, seed=4)
    X = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    functions, out = to_njit(model), np.empty(2, np.float32)
    functions.predict(model.parameters, X[0], out)
    close(out, model.predict(X)[0], "float32")


def test_indices():
    model = nn.Sequential([nn.Embedding(11, 3), nn.Flatten(), nn.Dense(2)], input_shape=4)
    functions, out = to_njit(model), np.empty(2, np.float32)
    x = np.array([3, 0, 10, 3])
    functions.predict(model.parameters, x, out)
    close(out, model.predict(x[None])[0], "float32")
    for wrong in (11, -1, 0.5):
        with pytest.raises(ValueError, match="whole numbers from 0 to 10"):
            functions.predict(model.parameters, np.array([0, 0, wrong, 0]), out)
    with pytest.raises(ValueError, match="no derivative"):
        functions.jacobian  # noqa: B018


def test_new_weights_need_no_new_functions():
    model, X = drawn("dense")
    functions, out = to_njit(model), np.empty(3, np.float32)
    functions.predict(model.parameters, X[0], out)
    f = functions.bind()
    first = out.copy()
    model.parameters[:] *= 2
    functions.predict(model.parameters, X[0], out)
    close(out, model.predict(X)[0], "float32")
    np.testing.assert_array_equal(f(X[0]), first)  # bound to what the weights were
    assert not np.array_equal(out, first)


@pytest.mark.parametrize("name", ["dense", "convolution"])
def test_scaling(name):
    model, X = drawn(name, "float64")
    rng = np.random.default_rng(5)
    mean, scale = rng.normal(size=X.shape[1:]), rng.uniform(0.5, 2, X.shape[1:])
    functions = to_njit(model, inputs=(mean, scale), outputs=(7, 3))
    expected = model.predict((X - mean) / scale) * 3 + 7
    out, slope = np.empty(expected[0].shape), np.empty((*expected[0].shape, *X.shape[1:]))
    functions.predict(model.parameters, X[0], out)
    close(out, expected[0], "float64")
    functions.jacobian(model.parameters, X[0], slope)
    close(slope, model.jacobian((X[:1] - mean) / scale)[0] * 3 / scale, "float64")
    batch = np.empty(expected.shape)
    functions.predict_batch(model.parameters, X, batch)
    close(batch, expected, "float64")


def test_scaling_keeps_digits():
    model, _ = drawn("dense")
    scaling = nn.Scaling(1e6, 1.0)
    x = 1e6 + np.array([[0.3, -0.2, 0.7, 0.1, 0.9]])
    out = np.empty(3, np.float32)
    to_njit(model, inputs=scaling).predict(model.parameters, x[0], out)
    close(out, model.predict(scaling(x))[0], "float32")


def test_large_numbers_are_finite():
    model = nn.Sequential([nn.Dense(1, kernel_initializer="zeros")], input_shape=16)
    out = np.empty(1, np.float32)
    to_njit(model).predict(model.parameters, np.full(16, 3e38, np.float32), out)
    assert out == 0


def test_a_standard_scaler():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    model, X = drawn("dense", "float64")
    scaler = preprocessing.StandardScaler().fit(X * 3 + 1)
    close(to_njit(model, inputs=scaler).bind()(X[0]), model.predict(scaler.transform(X))[0], "float64")


@pytest.mark.parametrize(
    ("scaling", "message"),
    [
        ((0, 0), "scale must not be 0"),
        ((np.nan, 1), "mean must be finite"),
        (nn.Scaling(np.zeros(4), np.ones(4)), r"samples of shape \(5,\)"),
        (3, r"\(mean, scale\)"),
    ],
)
def test_a_scaling_that_does_not_fit(scaling, message):
    with pytest.raises((TypeError, ValueError), match=message):
        to_njit(drawn("dense")[0], inputs=scaling)


@pytest.mark.parametrize("name", ["dense", "convolution"])
def test_wrong_arrays(name):
    model, X = drawn(name)
    functions, P = to_njit(model), model.parameters
    out = np.empty(3, np.float32)
    with pytest.raises(ValueError, match="out 3"):
        functions.predict(P, X[0], np.empty(4, np.float32))
    with pytest.raises(ValueError, match="params must have"):
        functions.predict(P[1:].copy(), X[0], out)
    with pytest.raises(ValueError, match="for each sample"):
        functions.predict_batch(P, X, np.empty((2, 3), np.float32))
    for bad in (np.nan, np.inf):
        x = X.copy()
        x.flat[3] = bad
        for call in (functions.predict, functions.jacobian):
            result = np.empty((3, *X.shape[1:]), np.float32) if call is functions.jacobian else out
            with pytest.raises(ValueError, match="NaN or infinity"):
                call(P, x[0], result)
        with pytest.raises(ValueError, match="NaN or infinity"):
            functions.predict_batch(P, x, np.empty((9, 3), np.float32))
    functions.predict(P, X[0], out)  # a refused call leaves the buffers to others
    close(out, model.predict(X)[0], "float32")
    errors = (TypingError, TypeError)
    with pytest.raises(errors, match="model's float32"):
        functions.predict(P.astype(np.float64), X[0], out)
    with pytest.raises(errors, match="model's float32"):
        functions.predict_batch(P, X.astype(np.float64), np.empty((9, 3), np.float32))
    read_only = np.empty((9, 3), np.float32)
    read_only.flags.writeable = False
    with pytest.raises(errors, match="for the results, which may be written"):
        functions.predict_batch(P, X, read_only)
    with pytest.raises(errors, match="for the results"):
        functions.predict(P, X[0], np.empty(3, np.int64))
    with pytest.raises(errors, match="ascontiguousarray"):
        functions.predict_batch(P, np.asfortranarray(X), np.empty((9, 3), np.float32))


def test_samples_in_any_vector():
    model, X = drawn("dense")
    functions, expected = to_njit(model), model.predict(X)
    table = np.asfortranarray(X.astype(np.float64))
    out = np.zeros((3, 2))
    functions.predict(model.parameters, table[0], out[:, 1])
    close(out[:, 1], expected[0], "float32")
    assert not out[:, 0].any()


def test_a_model_without_shape():
    with pytest.raises(ValueError, match="input shape is not known"):
        to_njit(nn.Sequential([nn.Dense(2)]))


# -- in compiled code ---------------------------------------------------------------------------


@compiled
@pytest.mark.parametrize("name", ["dense", "convolution"])
def test_in_parallel_loops_and_threads(name):
    model, X = drawn(name)
    predict, predict_batch = to_njit(model).predict, to_njit(model).predict_batch
    X = np.repeat(X, 40, 0)
    expected = model.predict(X)

    @numba.njit(parallel=True)
    def every_row(params, X, out):
        for i in prange(len(X)):
            predict(params, X[i], out[i])

    @numba.njit(nogil=True)
    def halves(params, X, out):
        for _ in range(20):
            predict_batch(params, X[: len(X) // 2], out[: len(X) // 2])
            predict_batch(params, X[len(X) // 2 :], out[len(X) // 2 :])

    out = np.empty_like(expected)
    every_row(model.parameters, X, out)
    close(out, expected, "float32")
    results = [np.empty_like(expected) for _ in range(8)]
    threads = [threading.Thread(target=halves, args=(model.parameters, X, r)) for r in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_array_equal(result, expected)


@compiled
@pytest.mark.parametrize("name", ["dense", "convolution"])
def test_nothing_is_allocated(name):
    model, X = drawn(name)
    functions = to_njit(model)
    functions.predict(model.parameters, X[0], np.empty(3, np.float32))
    functions.jacobian(model.parameters, X[0], np.empty((3, *X.shape[1:]), np.float32))
    functions.predict_batch(model.parameters, X, np.empty((9, 3), np.float32))
    for function in (functions.predict, functions.jacobian, functions.predict_batch):
        (text,) = function.inspect_llvm().values()
        assert "NRT_MemInfo_alloc" not in text
        assert "NRT_Allocate" not in text


@compiled
@pytest.mark.parametrize("name", ["dense", "convolution"])
def test_a_caller_is_not_kept_on_disk(name, tmp_path):
    # its key would not tell that the network is another
    (tmp_path / "mine.py").write_text(textwrap.dedent("""
        import sys

        import numba
        import numpy as np
        from numbanet.export import to_njit
        from test_export import drawn

        model, X = drawn(sys.argv[1])
        predict = to_njit(model, outputs=(0, float(sys.argv[2]))).predict

        @numba.njit(cache=True)
        def first(params, x, out):
            predict(params, x, out)
            return out[0]

        expected = model.predict(X)[0, 0] * float(sys.argv[2])
        assert abs(first(model.parameters, X[0], np.empty(3, np.float32)) - expected) < 1e-4 * abs(expected)
    """))
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    for scale in ("1", "5"):
        done = subprocess.run(
            [sys.executable, "mine.py", name, scale], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "Cannot cache compiled function" in done.stderr


# -- C functions --------------------------------------------------------------------------------


@compiled
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["dense", "convolution"])
def test_a_c_function(name, dtype):
    model, X = drawn(name, dtype)
    function = to_cfunc(model)
    expected, out = model.predict(X), np.zeros(3, dtype)
    kind = ctypes.POINTER(ctypes.c_float if dtype == "float32" else ctypes.c_double)
    x = X[0].copy()
    function.ctypes(x.ctypes.data_as(kind), out.ctypes.data_as(kind))
    close(out, expected[0], dtype)
    again = ctypes.CFUNCTYPE(None, kind, kind)(function.address)
    again(X[1].copy().ctypes.data_as(kind), out.ctypes.data_as(kind))
    close(out, expected[1], dtype)
    x.flat[0] = np.inf
    function.ctypes(x.ctypes.data_as(kind), out.ctypes.data_as(kind))
    assert np.isnan(out).all()


@compiled
def test_scipy_integrates_and_filters():
    model = nn.Sequential([nn.Dense(8, "tanh"), nn.Dense(1)], seed=3)
    model.build((3,), dtype="float64")

    def plain(*x):
        return float(model.predict(np.array([x]))[0, 0])

    fast = to_cfunc(model, "integrand").low_level_callable
    found = integrate.nquad(fast, [[0, 1], [-1, 1], [0, 2]])[0]
    nodes, weights = np.polynomial.legendre.leggauss(20)
    points = np.stack(np.meshgrid((nodes + 1) / 2, nodes, nodes + 1, indexing="ij"), -1).reshape(-1, 3)
    volume = np.einsum("i,j,k->ijk", weights, weights, weights).ravel() / 2
    assert found == pytest.approx(volume @ model.predict(points)[:, 0], rel=1e-8)
    image = np.random.default_rng(0).normal(size=(6, 7))
    shape = np.ones((1, 3), bool)
    filtered = ndimage.generic_filter(image, to_cfunc(model, "filter").low_level_callable, footprint=shape)
    np.testing.assert_allclose(filtered, ndimage.generic_filter(image, lambda x: plain(*x), footprint=shape))
    single = nn.Sequential([nn.Dense(1)], seed=3)
    single.build((1,), dtype="float32")
    assert np.isnan(to_cfunc(single, "integrand").ctypes(1, (ctypes.c_double * 1)(1e300), None))  # infinite as float32
    wrong = ndimage.generic_filter(image, to_cfunc(model, "filter").low_level_callable, size=3)  # 9 neighbours
    assert np.isnan(wrong).all()


def test_c_functions_refuse():
    model, _ = drawn("dense")
    if config.DISABLE_JIT:
        with pytest.raises(RuntimeError, match="NUMBA_DISABLE_JIT"):
            to_cfunc(model)
        return
    with pytest.raises(ValueError, match="array, integrand, filter"):
        to_cfunc(model, "quad")
    with pytest.raises(ValueError, match="one output; this one has 3"):
        to_cfunc(model, "integrand")
