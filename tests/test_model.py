"""Sequential and Dense: shapes, parameters and predictions."""

import copy
import math
import pickle
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import numbanet as nn

DTYPES = ["float32", "float64"]


def network(seed=0, dtype="float32"):
    model = nn.Sequential([nn.Dense(7, activation="tanh"), nn.Dense(4, activation="softmax"), nn.Dense(3)])
    model.build((5,), dtype=dtype, seed=seed)
    return model


def oracle(model, X):
    """The network above, in NumPy."""
    W0, b0, W1, b1, W2, b2 = (w.astype(np.float64) for w in model.get_weights())
    hidden = np.tanh(np.asarray(X, np.float64) @ W0 + b0) @ W1 + b1
    hidden = np.exp(hidden - hidden.max(axis=1, keepdims=True))
    return hidden / hidden.sum(axis=1, keepdims=True) @ W2 + b2


def samples(n, dtype="float32", seed=1):
    return np.random.default_rng(seed).normal(size=(n, 5)).astype(dtype)


def close(actual, desired, dtype="float32"):
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(actual, desired, rtol=64 * eps, atol=64 * eps)


# Building


def test_shape_is_inferred_from_the_data():
    model = nn.Sequential([nn.Dense(4, activation="relu"), nn.Dense(2)])
    assert not model.built
    nn.Trainer(model, "mean_squared_error").fit(np.ones((3, 6)), np.ones((3, 2)), epochs=1, progress=False)
    assert model.built
    assert [w.shape for w in model.get_weights()] == [(6, 4), (4,), (4, 2), (2,)]


@pytest.mark.parametrize("shape", [(6,), [6], 6, np.int64(6)])
def test_shape_is_given(shape):
    model = nn.Sequential([nn.Dense(4), nn.Dense(2)], input_shape=shape)
    assert model.built
    assert model.graph.input.shape == (6,)
    assert model.parameters.shape == (6 * 4 + 4 + 4 * 2 + 2,)
    assert model.dtype == "float32"
    assert model.predict(np.ones((3, 6))).shape == (3, 2)


def test_given_shape_is_kept():
    model = nn.Sequential([nn.Dense(2)], input_shape=(6,))
    with pytest.raises(ValueError, match=r"X has shape \(3, 5\); the model expects \(n, 6\)"):
        nn.Trainer(model, "mean_squared_error").fit(np.ones((3, 5)), np.ones((3, 2)), epochs=1, progress=False)


def test_without_bias():
    model = nn.Sequential([nn.Dense(2, use_bias=False)], input_shape=(3,))
    assert [w.shape for w in model.get_weights()] == [(3, 2)]
    close(model.predict(np.eye(3)), model.get_weights()[0])


@pytest.mark.parametrize("use", [
    lambda m: m.parameters, lambda m: m.graph, lambda m: m.dtype, lambda m: m.predict(np.ones((1, 2))),
    lambda m: m.summary(), lambda m: m.get_weights(), lambda m: m.set_weights([]),
    lambda m: setattr(m, "parameters", [1]),
])  # fmt: skip
def test_not_built(use):
    with pytest.raises(ValueError, match="input shape is not known yet"):
        use(nn.Sequential([nn.Dense(2)]))


def test_errors_of_sequential():
    with pytest.raises(ValueError, match="layers is empty"):
        nn.Sequential([])
    with pytest.raises(TypeError, match=r"layers\[1\] must be a layer such as Dense\(10\), got 10"):
        nn.Sequential([nn.Dense(2), 10])
    with pytest.raises(TypeError, match=r"layers\[0\]"):
        nn.Sequential([nn.Dense])
    with pytest.raises(ValueError, match="seed must be at least 0"):
        nn.Sequential([nn.Dense(2)], seed=-1)
    for shape in ((0,), (-1,)):
        with pytest.raises(ValueError, match="input_shape must be at least 1"):
            nn.Sequential([nn.Dense(2)], input_shape=shape)
    with pytest.raises(ValueError, match=r"layer 0 \(Dense\) takes samples of one axis, got shape \(2, 3\)"):
        nn.Sequential([nn.Dense(2)], input_shape=(2, 3))


def test_errors_of_dense():
    for units in (0, -1, 2.5):
        with pytest.raises(ValueError, match="units"):
            nn.Dense(units)
    for units in ("3", None, True):
        with pytest.raises(TypeError, match="units"):
            nn.Dense(units)
    with pytest.raises(ValueError, match="unknown activation 'swich'; did you mean 'swish'"):
        nn.Dense(2, activation="swich")
    with pytest.raises(ValueError, match="unknown initializer 'he_norml'; did you mean 'he_normal'"):
        nn.Dense(2, kernel_initializer="he_norml")
    with pytest.raises(ValueError, match="unknown regularizer 'l3'"):
        nn.Dense(2, kernel_regularizer="l3")
    with pytest.raises(TypeError, match="expected the name of the activation"):
        nn.Dense(2, activation=nn.L2(0.1))
    with pytest.raises(TypeError, match="expected the name of the activation"):
        nn.Dense(2, activation=math.tanh)


def test_layers_must_say_what_they_are():
    class Empty(nn.Layer):
        pass

    with pytest.raises(TypeError, match="Empty must define build"):
        nn.Sequential([Empty()], input_shape=(2,))
    assert repr(Empty()) == "Empty()"
    assert nn.Layer().label() == ""


def test_summary_and_repr():
    model = network()
    lines = model.summary().splitlines()
    assert lines[0] == "input (5,)"
    assert [line.split() for line in lines[1:5]] == [
        ["layer", "output", "shape", "parameters", "connections", "FLOPs"],
        ["0", "Dense", "tanh", "(7,)", "42", "42", "70"], ["1", "Dense", "softmax", "(4,)", "32", "32", "56"],
        ["2", "Dense", "identity", "(3,)", "15", "15", "24"]]
    assert lines[-1] == "89 parameters, 89 connections, 150 FLOPs a sample, float32"
    text = repr(model)
    assert text.startswith("Sequential([Dense(units=7, ")
    assert "tanh" in text
    assert "1,010 parameters" in nn.Sequential([nn.Dense(10)], input_shape=100).summary()


# First values


def test_seed_decides_the_weights():
    layers = [nn.Dense(8, activation="relu"), nn.Dense(3)]
    first, same, other = (nn.Sequential(layers, input_shape=4, seed=seed).parameters for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_trainer_seed_decides_the_weights_of_a_model_not_built():
    def trained(seed, **options):
        model = nn.Sequential([nn.Dense(3)], **options)
        nn.Trainer(model, "mean_squared_error", nn.SGD(0.0), seed=seed).fit(
            np.ones((4, 2)), np.ones((4, 3)), epochs=1, progress=False)
        return model.parameters

    np.testing.assert_array_equal(trained(5), trained(5))
    assert (trained(5) != trained(6)).any()
    np.testing.assert_array_equal(trained(5), nn.Sequential([nn.Dense(3)], input_shape=2, seed=5).parameters)
    np.testing.assert_array_equal(trained(5, input_shape=2), trained(6, input_shape=2))


def test_initializers():
    def weights(**options):
        return nn.Sequential([nn.Dense(50, **options)], input_shape=40).get_weights()

    kernel, bias = weights()
    limit = math.sqrt(6 / 90)
    assert 0.9 * limit < abs(kernel).max() <= limit * (1 + 1e-6)
    assert not bias.any()
    kernel, bias = weights(kernel_initializer=nn.Constant(2.5), bias_initializer="ones")
    assert (kernel == 2.5).all()
    assert (bias == 1).all()
    kernel, _ = weights(kernel_initializer="orthogonal")
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(40), atol=1e-5)


def test_same_weights_in_both_types():
    layers = [nn.Dense(8), nn.Dense(3)]
    single, double = nn.Sequential(layers), nn.Sequential(layers)
    single.build((4,))
    double.build((4,), dtype="float64")
    np.testing.assert_array_equal(single.parameters, double.parameters.astype(np.float32))


# Parameters


def test_parameters_are_the_model():
    model = network()
    before = model.predict(samples(3))
    model.parameters *= 2
    doubled = model.predict(samples(3))
    assert (before != doubled).all()
    close(doubled, oracle(model, samples(3)))
    model.parameters[-3:] += 10
    close(model.predict(samples(3)), doubled + 10)
    assert model.parameters is model.parameters


def test_flat_vector_is_the_weights_in_order():
    model = network()
    np.testing.assert_array_equal(model.parameters, np.concatenate([w.ravel() for w in model.get_weights()]))


def test_parameters_are_replaced_in_place():
    model = network()
    vector = model.parameters
    for values in (np.arange(89.0), list(range(89)), np.arange(178)[::2], np.arange(89, dtype=np.float32)):
        model.parameters = values
        assert model.parameters is vector
        np.testing.assert_array_equal(vector, np.asarray(values))
    model.parameters = np.ones(89, bool)
    model.parameters = 3 * vector
    assert vector[1] == 3


@pytest.mark.parametrize(("values", "kind", "message"), [
    (np.ones(88), ValueError, "parameters has 88 elements; the model has 89"),
    (np.full(89, np.nan), ValueError, "parameters holds NaN"),
    (np.ones(89, complex), TypeError, "parameters is complex"),
    (np.full(89, 1e300), ValueError, "too large for float32"),
    (["a"] * 89, TypeError, "parameters holds strings"),
])  # fmt: skip
def test_bad_parameters_change_nothing(values, kind, message):
    model = network()
    before = model.parameters.copy()
    with pytest.raises(kind, match=message):
        model.parameters = values
    np.testing.assert_array_equal(model.parameters, before)


def test_weights_round_trip():
    model, other = network(0), network(1)
    weights = model.get_weights()
    other.set_weights(weights)
    np.testing.assert_array_equal(other.parameters, model.parameters)
    np.testing.assert_array_equal(other.predict(samples(9)), model.predict(samples(9)))
    weights[0][:] = 0  # copies
    assert model.parameters[:35].any()
    other.set_weights([np.asfortranarray(w).astype(np.float64).tolist() for w in model.get_weights()])
    np.testing.assert_array_equal(other.parameters, model.parameters)


def test_bad_weights_change_nothing():
    model = network()
    before = model.parameters.copy()
    good = model.get_weights()
    for weights, kind, message in (
        (good[:-1], ValueError, "weights has 5 arrays; the model has 6"),
        ([*good[:-1], np.ones(4)], ValueError, r"weights '2.bias' has shape \(4,\); the model has \(3,\)"),
        ([good[0].T, *good[1:]], ValueError, r"weights '0.kernel' has shape \(7, 5\)"),
        ([*good[:-1], np.array([0, np.inf, 0])], ValueError, "weights '2.bias' holds infinity"),
        ([*good[:-1], np.array([1j, 0, 0])], TypeError, "weights '2.bias' is complex"),
        ([0 * good[0], *good[1:-1], np.array([1j, 0, 0])], TypeError, "complex"),
    ):
        with pytest.raises(kind, match=message):
            model.set_weights(weights)
        np.testing.assert_array_equal(model.parameters, before)


def test_astype():
    model = network()
    X = samples(5)
    before = model.predict(X)
    model.astype("float64")
    assert model.dtype == "float64"
    assert model.predict(X).dtype == np.float64
    close(model.predict(X), before)
    vector = model.parameters
    model.astype("float64")
    assert model.parameters is vector


# Predictions


@pytest.mark.parametrize("dtype", DTYPES)
def test_predict_against_numpy(dtype):
    model = network(dtype=dtype)
    X = samples(50, dtype)
    assert model.predict(X).dtype == dtype
    assert model.predict(X).shape == (50, 3)
    close(model.predict(X), oracle(model, X), dtype)


@pytest.mark.compiled  # a product in NumPy adds up in an order of its own
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_number_of_rows_equals_row_by_row(dtype):
    model = network(dtype=dtype)
    X = samples(100, dtype)
    single = np.concatenate([model.predict(X[i:i + 1]) for i in range(100)])
    for n in range(1, 101):
        np.testing.assert_array_equal(model.predict(X[:n]), single[:n])


@pytest.mark.compiled
def test_many_rows_and_wide_layers():
    model = nn.Sequential([nn.Dense(130, activation="relu"), nn.Dense(37)], input_shape=201)
    X = np.random.default_rng(0).normal(size=(3001, 201)).astype(np.float32)
    W0, b0, W1, b1 = (w.astype(np.float64) for w in model.get_weights())
    np.testing.assert_allclose(model.predict(X), np.maximum(X @ W0 + b0, 0) @ W1 + b1, rtol=1e-4, atol=1e-4)


def array_likes(tmp_path):
    X = np.random.default_rng(3).integers(-3, 4, (11, 5)).astype(np.float32)
    read_only = X.copy()
    read_only.flags.writeable = False
    mapped = np.memmap(tmp_path / "X", np.float32, "w+", shape=X.shape)
    mapped[:] = X
    mapped.flush()
    strided = np.zeros((22, 15), np.float32)
    strided[::2, ::3] = X
    unaligned = np.zeros(X.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(X.shape)
    unaligned[:] = X
    return {
        "array": X, "list": X.tolist(), "list of arrays": list(X), "tuple": tuple(map(tuple, X.tolist())),
        "frame": pd.DataFrame(X), "mixed frame": pd.DataFrame(X).astype({0: int, 3: float}),
        "read-only": read_only, "memmap": mapped,
        "read-only memmap": np.memmap(tmp_path / "X", np.float32, "r", shape=X.shape),
        "strided": strided[::2, ::3], "reversed": X[::-1].copy()[::-1], "fortran": np.asfortranarray(X),
        "unaligned": unaligned, "float64": X.astype(np.float64), "float16": X.astype(np.float16), "int": X.astype(int),
        "int8": X.astype(np.int8), "big-endian": X.astype(">f4"), "matrix-like": X.view(np.ndarray)[:, :],
        "buffer": memoryview(X),
    }  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_anything_array_like(tmp_path, dtype):
    model = network(dtype=dtype)
    likes = array_likes(tmp_path)
    expected = model.predict(likes["array"].astype(dtype))
    for name, X in likes.items():
        np.testing.assert_array_equal(model.predict(X), expected, err_msg=name)
    close(expected, oracle(model, likes["array"]), dtype)


def test_booleans():
    model = network()
    X = samples(20) > 0
    np.testing.assert_array_equal(model.predict(X), model.predict(X.astype(np.float32)))
    np.testing.assert_array_equal(model.predict(X.tolist()), model.predict(X.astype(np.float32)))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 70), st.integers(1, 3), st.integers(1, 3), st.booleans(), st.integers(0, 9))
def test_any_layout(n, rows, columns, fortran, seed):
    big = np.random.default_rng(seed).normal(size=(n * rows, 5 * columns)).astype(np.float32)
    X = (np.asfortranarray(big) if fortran else big)[::rows, ::-columns]
    model = network()
    np.testing.assert_array_equal(model.predict(X), model.predict(np.ascontiguousarray(X)))


def test_one_row_or_one_feature_of_a_larger_array():
    """NumPy flattens these to a view with a stride, without a copy."""
    model = network()
    big = samples(8).repeat(3, axis=1)
    for X in (big[:1, ::3], big[3:4, 14::-3], big[2::9, ::3], np.broadcast_to(big[:1, :1], (1, 5))):
        np.testing.assert_array_equal(model.predict(X), model.predict(X.copy()))
    model = nn.Sequential([nn.Dense(3)], input_shape=1)
    for X in (big[:, 4:5], big[::-1, :1], big[::2, ::20], np.broadcast_to(big[:1, :1], (8, 1))):
        np.testing.assert_array_equal(model.predict(X), model.predict(X.copy()))


def test_samples_are_not_changed():
    X = samples(40)
    before = X.copy()
    network().predict(X)
    np.testing.assert_array_equal(X, before)


def test_result_is_the_callers_own():
    model = network()
    first = model.predict(samples(4))
    kept = first.copy()
    second = model.predict(samples(4, seed=2))
    np.testing.assert_array_equal(first, kept)
    second[:] = 0
    np.testing.assert_array_equal(model.predict(samples(4)), kept)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 33, 500])
@pytest.mark.parametrize(("bad", "word"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_first_value_that_is_not_finite_is_named(dtype, n, bad, word):
    X = samples(n, dtype)
    X[n // 2, 3] = X[n - 1, 4] = bad
    for array in (X, X.tolist(), np.asfortranarray(X)):
        with pytest.raises(ValueError, match=f"X holds {word}, first at row {n // 2}, column 3"):
            network(dtype=dtype).predict(array)


def test_largest_finite_values_are_no_error():
    model = nn.Sequential([nn.Dense(1, kernel_initializer="ones")], input_shape=2)
    big = np.finfo(np.float32).max
    np.testing.assert_array_equal(model.predict(np.float32([[big, 0], [0, -big], [big, -big]])), [[big], [-big], [0]])
    assert model.predict(np.float32([[big, big]]))[0, 0] == np.inf
    with pytest.raises(ValueError, match=r"X holds 1e\+300 at row 0, column 1, too large for float32"):
        model.predict([[0, 1e300]])


@pytest.mark.parametrize(("X", "kind", "message"), [
    (np.ones((3, 4)), ValueError, r"X has shape \(3, 4\); the model expects \(n, 5\)"),
    (np.ones((3, 4), np.float32), ValueError, r"X has shape \(3, 4\)"),
    (np.ones((3, 5, 1), np.float32), ValueError, r"use X.reshape\(-1, 5\)"),
    (np.ones(5), ValueError, r"use X.reshape\(-1, 1\)"),
    (np.empty((0, 5), np.float32), ValueError, "X is empty"),
    ([], ValueError, "X is empty"),
    ([[]], ValueError, "X is empty"),
    (1.0, ValueError, "X has shape"),
    (None, TypeError, "X is NoneType"),
    (np.ones((3, 5), complex), TypeError, "X is complex"),
    (np.ones((3, 5), object), TypeError, "X has dtype object"),
    ([["a"] * 5], TypeError, "X holds strings"),
    ([[1, 2], [3]], ValueError, "rows of equal length"),
    (np.zeros((3, 5), "M8[s]"), TypeError, "datetime64"),
    ({1, 2}, TypeError, "X is set"),
    (pd.DataFrame({"a": ["x"]}), TypeError, "column 'a'"),
    (np.ma.masked_array(np.ones((1, 5)), mask=[[0, 1, 0, 0, 0]]), ValueError, "masked"),
])  # fmt: skip
def test_samples_that_cannot_be_used(X, kind, message):
    with pytest.raises(kind, match=message):
        network().predict(X)


def test_pathological_network_gives_infinity_and_no_error():
    model = nn.Sequential([nn.Dense(2, activation="exponential")], input_shape=1)
    model.set_weights([[[1.0, -1.0]], [0.0, 0.0]])
    np.testing.assert_array_equal(model.predict([[1000.0]]), [[np.inf, 0]])


def test_predict_from_several_threads_at_once():
    model = network()
    inputs = [samples(n, seed=n) for n in range(1, 41)]
    expected = [model.predict(X) for X in inputs]
    model.astype("float64")
    model.astype("float32")  # the threads race to make the predictor
    failures = []

    def work():
        try:
            for _ in range(3):
                for X, y in zip(inputs, expected, strict=True):
                    np.testing.assert_array_equal(model.predict(X), y)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


# Copies


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_independent(duplicate):
    model = network()
    X = samples(6)
    before = model.predict(X)
    twin = duplicate(model)
    np.testing.assert_array_equal(twin.predict(X), before)
    twin.parameters[:] = 0
    np.testing.assert_array_equal(model.predict(X), before)
    assert not twin.predict(X).any()
    assert repr(twin) == repr(model)


def test_models_that_are_not_built_can_be_copied():
    model = copy.deepcopy(nn.Sequential([nn.Dense(2)]))
    assert not model.built
    nn.Trainer(model, "mean_squared_error").fit(np.ones((3, 1)), np.ones((3, 2)), epochs=1, progress=False)


def test_copies_train_alike():
    model = network()
    twin = copy.deepcopy(model)
    X, y = samples(20), np.arange(20) % 3
    for each in (model, twin):
        nn.Trainer(each, "softmax_cross_entropy").fit(X, y, epochs=2, progress=False)
    np.testing.assert_array_equal(model.parameters, twin.parameters)
