"""Networks in C, compiled with the system's compiler, against the model's own predictions."""

import ctypes
import math
import shutil
import subprocess

import numpy as np
import pytest
from test_export import DTYPES, MODELS, close, drawn

import numbanet as nn
from numbanet._source import FormulaError
from numbanet.export import to_c
from numbanet.registry import names
from numbanet.spec import Activation

pytestmark = [
    pytest.mark.compiled,  # translated from the same sources either way
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed"),
]
STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wno-sign-conversion", "-Werror"]


def build(folder, name, text, *flags):
    """The function of a C file."""
    source, library = folder / f"{name}.c", folder / f"{name}.so"
    source.write_text(text)
    command = ["gcc", *STRICT, *flags, "-shared", "-fPIC", source, "-o", library, "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return getattr(ctypes.CDLL(str(library)), f"{name}_predict")


def call(function, x, shape, dtype):
    x, out = np.ascontiguousarray(x, dtype), np.full(shape, 17, dtype)
    status = function(x.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p))
    return status, out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MODELS)
def test_layers(name, dtype, tmp_path):
    model, X = drawn(name, dtype)
    function = build(tmp_path, "network", to_c(model), "-O2")
    for x, expected in zip(X[:3], model.predict(X), strict=False):
        status, out = call(function, x, expected.shape, dtype)
        assert status == 0
        close(out, expected, dtype)


def test_activations(tmp_path):
    X = np.random.default_rng(0).normal(size=(2, 3))
    for name in names("activation"):
        model = nn.Sequential([nn.Dense(5, name), nn.Dense(2)], seed=4)
        model.build((3,), dtype="float64")
        identifier = f"with_{name}"
        function = build(tmp_path, identifier, to_c(model, name=identifier))
        close(call(function, X[0], (2,), "float64")[1], model.predict(X)[0], "float64")


def clipped_parabola(x, width):
    """A formula with branches, a loop and a local name."""
    total = 0.0
    for power in range(1, 4):
        total += x**power / power
    if total > width:
        return width
    low, high = total, x
    if low > high:
        low, high = high, low
    if high - low > 2:
        return low + 1
    return max(total, -width) if abs(x) < 2 else math_free(x)


def math_free(short):
    """A helper, with names that C has taken, or can't say."""
    β = short // 1.5
    tanh = math.tanh(short % 1.5) + ((short > 0 and β) or 0.5)
    if tanh > 1:
        return 0.5 * tanh
    return tanh > 0


def test_a_plugin_of_ones_own(tmp_path):
    activation = Activation("clipped_parabola", forward=clipped_parabola, params={"width": 1.5})
    model = nn.Sequential([nn.Dense(40, activation), nn.Dense(2)], seed=4)
    model.build((3,), dtype="float64")
    X = np.random.default_rng(0).normal(0, 3, size=(20, 3))
    function = build(tmp_path, "network", to_c(model))
    for x, expected in zip(X, model.predict(X), strict=True):
        close(call(function, x, (2,), "float64")[1], expected, "float64")


def test_scaling_and_file(tmp_path):
    model, X = drawn("dense", "float64")
    text = to_c(model, tmp_path / "net.c", name="mine", inputs=(1, 2), outputs=(3, 4))
    assert (tmp_path / "net.c").read_text() == text
    function = build(tmp_path, "mine", text)
    close(call(function, X[0], (3,), "float64")[1], model.predict((X - 1) / 2)[0] * 4 + 3, "float64")
    assert to_c(model, name="mine", inputs=(1, 2), outputs=(3, 4)) == text  # no address, no time


def test_bad_samples(tmp_path):
    model, X = drawn("dense")
    function = build(tmp_path, "network", to_c(model))
    X[0, 2] = np.nan
    status, out = call(function, X[0], (3,), "float32")
    assert status == 1
    assert (out == 17).all()
    model = nn.Sequential([nn.Embedding(11, 3), nn.Flatten(), nn.Dense(2)], input_shape=4)
    function = build(tmp_path, "indices", to_c(model, name="indices"))
    status, out = call(function, [3, 0, 10, 3], (2,), "float32")
    assert status == 0
    close(out, model.predict([[3, 0, 10, 3]])[0], "float32")
    for wrong in (11, -1, 0.5):
        assert call(function, [3, 0, wrong, 3], (2,), "float32")[0] == 1


def test_weights_that_are_not_finite(tmp_path):
    model, _ = drawn("dense")
    model.parameters[3] = np.inf
    with pytest.raises(ValueError, match=r"0\.kernel.*NaN or infinity"):
        to_c(model, tmp_path / "network.c")
    with pytest.raises(ValueError, match=r"0\.kernel.*NaN or infinity"):
        model.save(tmp_path / "model.numbanet")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "2nd", "a b", "naïve", "x;y"])
def test_names_that_c_has_not(name):
    with pytest.raises(ValueError, match="name must be"):
        to_c(drawn("dense")[0], name=name)




KERNELS = """
import numba
from numbanet.cpu.jit import kernel

@kernel
def shift(params, hyper, work, op, base, stride, blocks, lanes):
    work[base + op[2] * lanes : base + (op[2] + op[3]) * lanes] = 0

def forward(program, node):
    program.passes.add(shift, program.place(node.input), program.place(node.output), node.output.size)

pair = forward, forward
"""


class Odd(nn.Layer):
    """A layer with a kernel that is not among what C can say."""

    def build(self, graph):
        graph.node("odd_kernels:pair", graph.output.shape)


def test_what_c_can_not_say(tmp_path, monkeypatch):
    (tmp_path / "odd_kernels.py").write_text(KERNELS)
    monkeypatch.syspath_prepend(tmp_path)
    model = nn.Sequential([nn.Dense(3), Odd()], input_shape=2)
    with pytest.raises(FormulaError, match=r"odd_kernels\.py:7: .*can't be written in C: work\["):
        to_c(model)
