"""Formulas written out as ONNX operations."""

import math
import sys
from functools import partial

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra onnx")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, which the extra test has")

from onnx_runners import run
from packages import PLUGINS

import numbanet as nn
from numbanet import registry
from numbanet._source import FormulaError
from numbanet.export import to_onnx
from numbanet.export.onnx.elementary import DIRECT, FORMULAS

DTYPES = ("float32", "float64")
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)
SCALE = 2.5
OURS = "activation", "numbanet"


def compare(activation, x, ulps=4):
    """An activation in ONNX beside numbanet's."""
    model = nn.Sequential([nn.Apply(activation)])
    model.build(x.shape[1:], dtype=str(x.dtype))
    found, expected = run(to_onnx(model), x), model.predict(x)
    assert found.dtype == x.dtype
    tolerance = ulps * np.finfo(x.dtype).eps
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    return found


def points(dtype, low=-30, high=30):
    special = [0, -0.0, 1e-9, -1e-9, 1e-3, -1e-3, 1, -1, 3, -3, 6, -6]
    drawn = np.random.default_rng(0).uniform(low, high, 60)
    return np.clip(np.concatenate([special, drawn, drawn / 10]), low, high).astype(dtype).reshape(-1, 6)


@both_dtypes
@pytest.mark.parametrize("name", [e.spec.name for kind, e in registry.entries() if (kind, e.distribution) == OURS])
def test_built_in(name, dtype):
    compare(name, points(dtype))


@both_dtypes
@pytest.mark.parametrize(("name", "params"), [("leaky_relu", {"alpha": 0.3}), ("elu", {"alpha": 0.7}),
                                              ("silu", {"beta": 1.7}), ("celu", {"alpha": 1.3})])  # fmt: skip
def test_parameters(name, params, dtype):
    compare(nn.activation(name, **params), points(dtype))


@pytest.mark.parametrize("folder", ["numbanet-activations-extra", "numbanet-template", "numbanet-rbf/numbanet_rbf"])
@both_dtypes
def test_of_plugins(folder, dtype, monkeypatch):
    monkeypatch.syspath_prepend(str(PLUGINS / folder))
    name = "functions" if folder.endswith("rbf") else folder.replace("-", "_")
    try:
        module = __import__(name)
        found = list(module.numbanet_activations())
    finally:
        sys.modules.pop(name, None)
    assert found
    for activation in found:
        compare(activation, points(dtype), ulps=32)


# -- functions of math --------------------------------------------------------------------------

DOMAINS = {"acos": (-1, 1), "asin": (-1, 1), "atanh": (-0.99, 0.99), "acosh": (1, 30), "log": (0.01, 30),
           "log2": (0.01, 30), "log10": (0.01, 30), "log1p": (-0.99, 30), "sqrt": (0, 30), "tan": (-1.5, 1.5),
           "cosh": (-5, 5), "sinh": (-5, 5), "exp": (-30, 5), "exp2": (-30, 5), "expm1": (-30, 5)}
ONE = sorted({*DIRECT, *FORMULAS} - {"atan2", "copysign", "hypot"})


@both_dtypes
@pytest.mark.parametrize("name", ONE)
def test_function_of_math(name, dtype):
    function = getattr(math, name)
    x = points(dtype, *DOMAINS.get(name, (-30, 30)))
    compare(nn.Activation(f"own_{name}", forward=lambda x: float(function(x))), x, ulps=64)


@both_dtypes
@pytest.mark.parametrize("name", ["atan2", "copysign", "fmod", "hypot", "pow"])
def test_function_of_two(name, dtype):
    function = getattr(math, name)
    x = points(dtype, *((0.1, 5) if name == "pow" else (-30, 30)))
    compare(nn.Activation(f"own_{name}", forward=lambda x: function(x, 1.7) + function(2.3, x)), x, ulps=64)


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_formulas_of_functions(name):
    """As Python's, also at the ends."""
    ends = [0.0, -0.0, math.inf, -math.inf, 1e-300, -1e-17, 1e-9, 0.5, -0.7, 1.0, 3.7, -5.2, 1e200]
    function, own = getattr(math, name), FORMULAS[name]
    several = own.__code__.co_argcount == 2
    checked = 0
    for arguments in [(x, y) for x in ends for y in ends] if several else [(x,) for x in ends]:
        try:
            expected = float(function(*arguments))
            found = float(own(*arguments))
        except (ValueError, ZeroDivisionError, OverflowError):
            continue  # Python raises where ONNX gives NaN or infinity
        checked += 1
        np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-300 if name != "erfc" else 1e-15)
        assert math.copysign(1, found) == math.copysign(1, expected) or found == expected == 0
    assert checked > 3


# -- what a formula may contain ------------------------------------------------------------------


def helper(x, slope=0.25):
    return x * slope


def branches(x, width):
    y = 0.0
    if x > width:
        y = x - width
    elif x < -width:
        y = x + width
    else:
        pass
    return y


def early(x):
    if x < -1:
        return -1.0
    elif x > 1:
        z = 1 + x / 10
        return z
    t = x
    return t * t * t


def truths(x):
    inside = -1 < x <= 2 and not (x == 0 or x != x)
    return inside * 2 + float(x > 5) + (x or 3.0) * bool(x > 0)


def counted(x):
    total: float = 0
    for i in range(1, 4):
        total += x**i / (i + 1)
    a, b = total, x
    a, b = b, a
    b *= 2
    return (b - a) // 3 + b % 4 + (-7 // 2) + 5 % 3


FORMS = {
    "helper": (helper, {"slope": 0.4}), "default": (lambda x: helper(x), {}), "branches": (branches, {"width": 0.5}),
    "early": (early, {}), "truths": (truths, {}), "counted": (counted, {}),
    "captured": (lambda x: SCALE * min(x, 2, 7) + math.pi + abs(-3), {}),
    "powers": (lambda x: x**2 + abs(x) ** 0.5 + pow(abs(x), 1.5) + 2.0**-3, {}),
    "constant": (lambda x: 1.5, {}), "parameter": (lambda x, c: 2 * c, {"c": 2.0}), "same": (lambda x: x, {}),
    "infinity": (lambda x: min(max(x, -math.inf), math.inf), {}),
    "folded": (lambda x: x if 3 > 2 and SCALE else 1 / x, {}),
    "int": (lambda x: int(x) + math.fmod(7.5, 2) + (1 if math.isinf(x) else +x), {}),
}  # fmt: skip


@both_dtypes
@pytest.mark.parametrize("form", FORMS)
def test_forms(form, dtype):
    function, params = FORMS[form]
    compare(nn.Activation(form, forward=function, params=params), points(dtype), ulps=32)


# -- rows ---------------------------------------------------------------------------------------


def root_mean_square(x, y, epsilon):
    square = 0.0
    for j in range(len(x)):
        square += x[j] * x[j]
    scale = 1.0 / math.sqrt(square / len(x) + epsilon)
    for j in range(len(x)):
        y[j] = x[j] * scale


def extremes(x, y):
    least = x[0]
    most = x[0]
    product = 1.0
    rest = 10.0
    for j in range(1, len(x)):
        t = x[j]
        least = min(t, least)
        most = max(most, t)
        product = product * (1 + t / 100)
        rest = rest - 0.5
    y[0] = least
    for j in range(1, len(x) - 1):
        y[j] = t + rest if x[j] > x[0] else product
    y[len(x) - 1] = most


def running(x, y):
    """Each sum needs the one before: unrolled."""
    total = 0.0
    for j in range(len(x)):
        total = 0.5 * total + x[j]
        y[j] = total


def position(x, y):
    """A place found in a loop: unrolled; and the index as a number."""
    best = x[0]
    where = 0.0
    for j in range(1, len(x)):
        if x[j] > best:
            best = x[j]
            where = 1.0 * j
    for j in range(len(x)):
        y[j] = j - where


def bisected(x, y):
    """Sparsemax by bisection: a loop in a loop."""
    peak = x[0]
    for j in range(1, len(x)):
        peak = max(peak, x[j])
    low, high = peak - 1.0, peak
    for _ in range(25):
        middle = 0.5 * (low + high)
        total = 0.0
        for j in range(len(x)):
            total += max(x[j] - middle, 0.0)
        low = middle if total > 1 else low
        high = high if total > 1 else middle
    for j in range(len(x)):
        y[j] = max(x[j] - low, 0.0)


def neighbours(x, y):
    for j in range(len(x) - 1):
        y[j] = x[j + 1]
    y[len(x) - 1] = 0.0
    for j in range(len(x)):
        if x[j] > 0:
            y[j] = y[j] + 1.0
        else:
            y[j] *= 2.0


ROWS = {f.__name__: f for f in (extremes, running, position, bisected, neighbours)}


@both_dtypes
@pytest.mark.parametrize("name", ROWS)
def test_rows(name, dtype):
    x = points(dtype, -5, 5)
    compare(nn.Activation(name, forward=ROWS[name], row=True), x, ulps=64)


@both_dtypes
def test_rows_with_parameters(dtype):
    activation = nn.Activation("rms", forward=root_mean_square, row=True, params={"epsilon": 0.01})
    compare(activation, points(dtype), ulps=8)
    kinds = [node.op_type for node in to_onnx(nn.Sequential([nn.Apply(activation)], input_shape=500)).graph.node]
    assert len(kinds) < 10  # whatever the width
    compare(activation, points(dtype).reshape(-1, 3, 2), ulps=8)


@both_dtypes
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_written_out(name, dtype):
    """The built-in formulas, as a plugin's would be."""
    forward = nn.activation(name).forward

    def own(x, y):
        peak = x[0]
        for j in range(1, len(x)):
            peak = max(peak, x[j])
        total = 0.0
        for j in range(len(x)):
            y[j] = math.exp(x[j] - peak)
            total += y[j]
        for j in range(len(x)):
            y[j] = y[j] / total

    if name == "softmax":
        found = compare(nn.Activation("own", forward=own, row=True), points(dtype), ulps=16)
        np.testing.assert_allclose(found.sum(1), 1, rtol=16 * np.finfo(dtype).eps)
    else:
        from numbanet.export.onnx.activations import write_formula
        from numbanet.export.onnx.operations import Operations

        operations = Operations(dtype)
        write_formula(operations, nn.Activation("own", forward=forward, row=True), "x", 6)
        kinds = [node.kind for node in operations.nodes]
        assert "LogSoftmax" not in kinds
        assert kinds.count("ReduceMax") == kinds.count("ReduceSum") == 1


# -- refusals ------------------------------------------------------------------------------------


def endless(x):
    return endless(x - 1)


def without_value(x):
    if x > 0:
        return x


def leaves_loop(x):
    for i in range(3):
        if x > i:
            return x
    return 0.0


def unknown_range(x):
    total = 0.0
    for i in range(int(x)):
        total += i
    return total


def large(x, y):
    for j in range(len(x)):
        y[j] = x[j]
        for i in range(len(x)):
            for k in range(len(x)):
                y[j] = 0.5 * y[j] + x[k] * x[i]


def empty(x, y):
    total = x[0]  # noqa: F841


REFUSED = {
    "gamma": (lambda x: math.gamma(x), "calls math.gamma with 1 arguments, which ONNX operations can't express"),
    "string": (lambda x: x + len("a"), "uses ''a'' as a row"), "endless": (endless, "calls itself"),
    "without_value": (without_value, "may end without returning a value"),
    "leaves_loop": (leaves_loop, "returns from within a loop"),
    "unknown_range": (unknown_range, "a range must be known when the model is written"),
    "keyword": (lambda x: helper(x, slope=2.0), "keyword arguments"),
    "lambda": (lambda x: (lambda z: z)(x), "uses 'lambda z: z' as a function"),
    "list": (lambda x: [x][0], "uses '\\[x\\]' as a row"), "bits": (lambda x: x & 1, "uses BitAnd"),
    "in": (lambda x: x in (1, 2), "uses Tuple"), "unknown": (lambda x: nowhere(x), "uses 'nowhere'"),  # noqa: F821
    "numpy": (lambda x: np.exp(x), "calls <ufunc 'exp'>"),
    "folded": (lambda x: x + math.log(-1.0), "can't be computed"),
}  # fmt: skip


def refuse(activation, message, width=3):
    model = nn.Sequential([nn.Apply(activation)], input_shape=width)
    with pytest.raises(FormulaError, match=message) as caught:
        to_onnx(model)
    assert f"{__file__}:" in str(caught.value)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    function, message = REFUSED[name]
    refuse(nn.Activation(name, forward=function), message.replace("(", "\\(").replace(")", "\\)"))


def test_rows_refused():
    row = partial(nn.Activation, row=True)
    refuse(row("large", forward=large), "needs more than 20000 ONNX operations", width=60)
    refuse(row("empty", forward=empty), "does not fill the row 'y'")
