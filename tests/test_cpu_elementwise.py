"""Compiled formulas: activations, losses and the user's own, in ulp against a wider type.

References are SciPy's and NumPy's functions in long double where they have it, or else the plain
formulas themselves, evaluated in long double.
"""

import builtins
import math
import re
import subprocess
import sys
import types
from decimal import Decimal, localcontext

import numba
import numpy as np
import pytest
from scipy import special

import numbanet as nn
from numbanet import registry
from numbanet.builtins.activations import numbanet_activations
from numbanet.builtins.losses import numbanet_losses
from numbanet.builtins.optimizers import numbanet_optimizers
from numbanet.builtins.regularizers import numbanet_regularizers
from numbanet.cpu import elementwise, generate, host, update
from numbanet.cpu.jit import OPTIONS, signatures
from numbanet.cpu.predictor import Predictor
from numbanet.cpu.update_program import coefficients
from numbanet.graph import Graph

inf, nan = math.inf, math.nan
DTYPES = ("float32", "float64")
L = np.longdouble
# what the references themselves may be wrong by, in ulp of float64, where long double is no wider
SLACK = 0 if np.finfo(L).eps < np.finfo(float).eps else 4

both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


@pytest.fixture(autouse=True)
def quiet():
    """The references overflow where the results do."""
    with np.errstate(all="ignore"):
        yield


ACTIVATIONS = {spec.name: spec for spec in numbanet_activations() if not spec.row}
LOSSES = {spec.name: spec for spec in numbanet_losses() if not spec.row}
ROWS = {spec.name: spec for spec in numbanet_activations() if spec.row}
ROW_LOSSES = {spec.name: spec for spec in numbanet_losses() if spec.row}


# -- running the kernels --------------------------------------------------------------------


def operation(*integers):
    return np.array([0, *integers, *[0] * (11 - len(integers))], np.int64)


def run(kernel, spec, parts, op):
    """Run a kernel on arrays (rows, lanes) that lie one behind the other; returns them as it leaves them."""
    dtype, lanes = parts[0].dtype, parts[0].shape[1]
    hyper = np.array([7.0, *spec.params.values()], dtype)  # the parameters begin at 1
    work = np.concatenate([part.ravel() for part in parts])
    kernel(np.empty(0, dtype), hyper, work, op, 0, work.size, 1, lanes)
    borders = np.cumsum([part.size for part in parts])[:-1]
    return [part.reshape(-1, lanes) for part in np.split(work, borders)]


def forward(spec, x):
    """y = f(x); x of shape (n,) for a scalar formula, (n, width) for one of rows."""
    rows = x[None] if x.ndim == 1 else x.T
    units, lanes = rows.shape
    inplace = elementwise.in_place(spec)
    kernel, scratch = elementwise.forward(spec.forward, spec.row, inplace, len(spec.params), str(x.dtype))
    parts = [rows, rows if inplace else np.full_like(rows, nan), np.full((scratch, lanes), nan, x.dtype)]
    _, y, _ = run(kernel, spec, parts, operation(0, units, units, 1, 2 * units))
    return y[0] if x.ndim == 1 else y.T


def backward(spec, x, y, gradient):
    """Gradient times dy/dx."""
    rows, y, gradient = ((a[None] if a.ndim == 1 else a.T) for a in (x, y, gradient))
    units, lanes = rows.shape
    inplace = elementwise.in_place(spec)
    kernel, scratch = elementwise.backward(spec.slope, spec.row, inplace, len(spec.params), str(x.dtype))
    parts = [np.full_like(rows, nan) if inplace else rows, y, gradient, np.full((scratch, lanes), nan, x.dtype)]
    _, _, result, _ = run(kernel, spec, parts, operation(0, units, units, 1, 3 * units, 2 * units))
    return result[0] if x.ndim == 1 else result.T


def loss_and_gradient(spec, output, target, weight=None):
    """Loss and gradient of samples, (n, outputs) each."""
    (n, outputs), dtype = output.shape, output.dtype
    kernel, scratch = elementwise.loss_kernel(spec, str(dtype))
    weights = np.ones((1, n), dtype) if weight is None else weight[None]
    parts = [output.T, target.T, np.full((outputs, n), nan, dtype), weights, np.full((1, n), nan, dtype),
             np.full((scratch, n), nan, dtype)]  # fmt: skip
    op = operation(0, outputs, 2 * outputs, 3 * outputs, 3 * outputs + 1, outputs, 1, 3 * outputs + 2)
    _, _, gradient, _, total, _ = run(kernel, spec, parts, op)
    return total[0], gradient.T


# -- formulas in long double ----------------------------------------------------------------


def decimal_erfc(t):
    """Power series or continued fraction, to 30 digits where the result does not underflow."""
    pi = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
    if t < 0:
        return 2 - decimal_erfc(-t)
    if t < 3:
        term = total = 2 * t / pi.sqrt() * (-t * t).exp()
        for n in range(1, 150):
            term *= 2 * t * t / (2 * n + 1)
            total += term
        return 1 - total
    fraction = t
    for n in range(150, 0, -1):
        fraction = t + Decimal(n) / 2 / fraction
    return (-t * t).exp() / pi.sqrt() / fraction if t < 1000 else Decimal(0)


def in_decimals(function):
    """Function of a long double that is evaluated with 50 digits."""

    def evaluated(x):
        with localcontext(prec=50):
            high = float(x)
            value = function(Decimal(high) + Decimal(float(x - L(high))))
            return L(str(value)) if abs(value) > Decimal("1e-4000") else L(0)  # NumPy warns of underflow

    return evaluated


WIDE = types.SimpleNamespace(
    exp=np.exp, expm1=np.expm1, log=np.log, log1p=np.log1p, tanh=np.tanh, sqrt=np.sqrt, erfc=in_decimals(decimal_erfc),
)  # fmt: skip


def wide(formula):
    """The same plain Python function and its helpers, with the functions of `math` in long double."""
    scope = {}
    for name in formula.__code__.co_names:
        value = formula.__globals__.get(name, getattr(builtins, name, None))
        scope[name] = WIDE if value is math else wide(value) if isinstance(value, types.FunctionType) else value
    scope["__builtins__"] = builtins
    return types.FunctionType(formula.__code__, scope)


def evaluate(formula, *arrays, params):
    """A scalar formula in long double, element by element."""
    function, params = wide(formula), [L(p) for p in params]
    return np.array([function(*map(L, row), *params) for row in zip(*arrays, strict=True)], L)


# -- points and errors ----------------------------------------------------------------------


def points(dtype):
    """Ordinary ones, and all magnitudes from the smallest subnormal to the largest number."""
    info = np.finfo(dtype)
    magnitudes = np.exp(np.linspace(np.log(info.smallest_subnormal), np.log(info.max), 60))
    special_ones = [0.0, info.smallest_subnormal, info.tiny, info.eps, 1e-20, 50, 100, 700, 1e4, 1e30, info.max]
    x = np.concatenate([np.linspace(-9, 9, 145), np.random.default_rng(0).normal(scale=3, size=60), magnitudes,
                        -magnitudes, special_ones, np.negative(special_ones)]).astype(dtype)  # fmt: skip
    return x[np.isfinite(x)]


def toward_zero(x):
    return np.nextafter(x, np.zeros_like(x))


def errors(actual, exact, *nearby):
    """In ulp, where an argument may be wrong by one ulp as well: that is what the formulas begin with."""
    dtype = actual.dtype
    rounded = exact.astype(dtype)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(actual[~finite], rounded[~finite])
    unit = np.spacing(np.abs(rounded[finite])).astype(L)
    for other in nearby:
        unit = unit + np.abs(other - exact)[finite]
    return np.abs(actual[finite].astype(L) - exact[finite]) / unit


def limit(dtype, ulp):
    return ulp + (SLACK if dtype == "float64" else 0)


# -- activations ----------------------------------------------------------------------------

GELU = np.frompyfunc(in_decimals(lambda x: x * decimal_erfc(-x / Decimal(2).sqrt()) / 2), 1, 1)
REFERENCES = {
    "identity": lambda x: x,
    "step": lambda x: np.heaviside(x, 1),
    "sigmoid": special.expit,
    "tanh": np.tanh,
    "scaled_tanh": lambda x: L("1.7159") * np.tanh(2 * x / 3),
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, x / 100),
    "relu6": lambda x: np.clip(x, 0, 6),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "celu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "selu": lambda x: L("1.0507009873554804934") * np.where(x > 0, x, L("1.6732632423543772848") * np.expm1(x)),
    "gelu": lambda x: GELU(x).astype(L),
    "gelu_tanh": lambda x: x * special.expit(np.sqrt(8 / L("3.14159265358979323846")) * (x + L("0.044715") * x**3)),
    "silu": lambda x: x * special.expit(x),
    "swish": lambda x: x * special.expit(x),
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
    "softplus": lambda x: np.logaddexp(0, x),
    "softsign": lambda x: x / (1 + abs(x)),
    "hard_sigmoid": lambda x: np.clip(x / 6 + L("0.5"), 0, 1),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "hard_silu": lambda x: x * np.clip(x / 6 + L("0.5"), 0, 1),
    "exponential": np.exp,
}
LIMITS = {  # at -inf and inf
    "identity": (-inf, inf), "step": (0, 1), "sigmoid": (0, 1), "tanh": (-1, 1), "scaled_tanh": (-1.7159, 1.7159),
    "relu": (0, inf), "leaky_relu": (-inf, inf), "relu6": (0, 6), "elu": (-1, inf), "celu": (-1, inf),
    "selu": (-1.7580993408473766, inf), "gelu": (0, inf), "gelu_tanh": (0, inf), "silu": (0, inf), "swish": (0, inf),
    "mish": (0, inf), "softplus": (0, inf), "softsign": (-1, 1), "hard_sigmoid": (0, 1), "hard_tanh": (-1, 1),
    "hard_silu": (0, inf), "exponential": (0, inf),
}  # fmt: skip


def test_every_elementwise_formula_is_tested():
    assert sorted(REFERENCES) == sorted(ACTIVATIONS) == sorted(LIMITS)
    assert sorted(LOSS_REFERENCES) == sorted(LOSSES)


@both_dtypes
@pytest.mark.parametrize("name", REFERENCES)
def test_activation(name, dtype):
    x = points(dtype)
    exact, nearby = (REFERENCES[name](v.astype(L)) for v in (x, toward_zero(x)))
    underflow = exact + x.astype(L) * np.finfo(dtype).smallest_subnormal  # of a factor of x
    assert errors(forward(ACTIVATIONS[name], x), exact, nearby, underflow).max() <= limit(dtype, 2)


@both_dtypes
@pytest.mark.parametrize("name", REFERENCES)
def test_derivative_of_activation(name, dtype):
    """From the x and y that the kernel gets; y is rounded."""
    spec, x = ACTIVATIONS[name], points(dtype)
    y = forward(spec, x)
    x, y = x[np.isfinite(y)], y[np.isfinite(y)]
    params = spec.params.values()
    exact = evaluate(spec.slope, x, y, params=params)
    nearby = [evaluate(spec.slope, toward_zero(x), y, params=params),
              evaluate(spec.slope, x, toward_zero(y), params=params)]
    jumps = np.zeros(len(x), bool)
    for other in nearby:
        jumps |= abs(other - exact) > 0.01  # at a kink
    actual = backward(spec, x, y, np.ones_like(x))
    nearby.append(exact + x.astype(L) * np.finfo(dtype).smallest_subnormal)  # where a factor of x underflows
    most = {"mish": 12}.get(name, 4)  # 1 - tanh(softplus(x))**2 cancels
    assert errors(actual[~jumps], exact[~jumps], *(v[~jumps] for v in nearby)).max() <= limit(dtype, most)
    np.testing.assert_array_equal(actual[jumps], exact[jumps].astype(dtype))
    gradient = np.linspace(-3, 3, len(x)).astype(dtype)
    tiny = np.finfo(dtype).tiny  # a product may be rounded once only
    product = backward(spec, x, y, gradient)
    np.testing.assert_allclose(product, actual * gradient, rtol=4 * np.finfo(dtype).eps, atol=tiny)


@both_dtypes
@pytest.mark.parametrize("name", REFERENCES)
def test_activation_at_infinity_and_nan(name, dtype):
    spec, eps = ACTIVATIONS[name], np.finfo(dtype).eps
    x = np.array([-inf, inf, nan, 0.0, -0.0], dtype)
    y = forward(spec, x)
    np.testing.assert_allclose(y[:2], LIMITS[name], rtol=eps)
    assert np.isnan(y[2])
    assert y[3] == y[4]
    if name != "exponential":
        slopes = backward(spec, x, y, np.ones_like(x))
        assert np.isfinite(slopes[:2]).all()
        if name != "step":
            low, high = evaluate(spec.slope, x[:2], y[:2], params=spec.params.values())
            np.testing.assert_allclose(slopes[:2], np.array([low, high]).astype(dtype), atol=2 * eps)
        assert slopes[3] == slopes[4]


@both_dtypes
@pytest.mark.parametrize(("name", "params"), [
    ("leaky_relu", {"alpha": 0.3}), ("leaky_relu", {"alpha": -0.5}), ("elu", {"alpha": 0.5}), ("celu", {"alpha": 3.0}),
    ("silu", {"beta": 2.5}), ("swish", {"beta": 0.1}),
])  # fmt: skip
def test_parameters_are_passed_at_run_time(name, params, dtype):
    spec, x = ACTIVATIONS[name], points(dtype)
    x = x[abs(x) < 1e4]
    y = forward(spec, x)
    backward(spec, x, y, x)
    before = len(generate._compiled)
    changed = spec.with_params(**params)
    values = [np.array(v, dtype) for v in changed.params.values()]
    actual = forward(changed, x)
    exact, nearby = (evaluate(spec.forward, v, params=values) for v in (x, toward_zero(x)))
    assert errors(actual, exact, nearby).max() <= limit(dtype, 4)
    exact = evaluate(spec.slope, x, actual, params=values)
    np.testing.assert_allclose(backward(changed, x, actual, np.ones_like(x)), exact.astype(dtype),
                               rtol=20 * np.finfo(dtype).eps, atol=20 * np.finfo(dtype).eps)
    assert np.abs(actual - y).max() > 0.01
    assert len(generate._compiled) == before


@both_dtypes
def test_all_blocks_and_units_are_reached(dtype):
    """Blocks lie apart; what lies between them is left alone."""
    spec, units, lanes, blocks = ACTIVATIONS["softsign"], 3, host.tile(dtype).lanes, 4
    kernel, _ = elementwise.forward(spec.forward, False, True, 0, dtype)
    stride = units * lanes + 5
    work = np.linspace(-3, 3, 2 + blocks * stride).astype(dtype)
    expected = work.copy()
    for i in range(blocks):
        part = expected[2 + i * stride :][: units * lanes]
        part[:] = part / (1 + abs(part))
    kernel(np.empty(0, dtype), np.empty(0, dtype), work, operation(0, 0, units, 0), 2, stride, blocks, lanes)
    np.testing.assert_allclose(work, expected, rtol=4 * np.finfo(dtype).eps)


@both_dtypes
@pytest.mark.parametrize("name", ["tanh", "mish", "softmax"])
@pytest.mark.parametrize("n", [1, 5, 16, 33, 300])
def test_predictor_of_one_node(name, n, dtype):
    """The same through the engine's front door, which turns samples into lanes and back."""
    spec = registry.get("activation", name)
    graph = Graph((7,))
    graph.node("activation", (7,), activation=spec)
    x = np.random.default_rng(n).normal(size=(n, 7)).astype(dtype)
    y = Predictor(graph, dtype)(np.empty(0, dtype), x)
    expected = forward(spec, x if spec.row else x.ravel()).reshape(n, 7)
    np.testing.assert_allclose(y, expected, rtol=4 * np.finfo(dtype).eps)
    x[n // 2, 3] = nan
    assert Predictor(graph, dtype)(np.empty(0, dtype), x) is None


# -- elementwise losses ---------------------------------------------------------------------


def entropy(t):
    """t log(t), 0 at 0."""
    return np.where(t > 0, t * np.log(np.where(t > 0, t, 1)), 0)


LOSS_REFERENCES = {
    "mean_squared_error": lambda z, t: (z - t) ** 2,
    "mean_absolute_error": lambda z, t: abs(z - t),
    "huber": lambda z, t: np.where(abs(z - t) <= 1, (z - t) ** 2 / 2, abs(z - t) - L("0.5")),
    "log_cosh": lambda z, t: abs(z - t) + np.log1p(np.expm1(-2 * abs(z - t)) / 2),
    "quantile": lambda z, t: abs(z - t) / 2,
    "poisson_deviance": lambda z, t: np.exp(z) - t * z - t + entropy(t),
    "gamma_deviance": lambda z, t: z - np.log(t) + np.expm1(np.log(t) - z),
    "binary_cross_entropy": lambda z, t: -t * special.log_expit(z) - (1 - t) * special.log_expit(-z),
    "focal": lambda z, t: -t / 4 * special.expit(-z) ** 2 * special.log_expit(z)
    - 3 * (1 - t) / 4 * special.expit(z) ** 2 * special.log_expit(-z),
    "hinge": lambda z, t: np.maximum(1 - t * z, 0),
    "squared_hinge": lambda z, t: np.maximum(1 - t * z, 0) ** 2,
}
for _alias, _name in (("mse", "mean_squared_error"), ("mae", "mean_absolute_error"), ("poisson", "poisson_deviance"),
                      ("gamma", "gamma_deviance")):  # fmt: skip
    LOSS_REFERENCES[_alias] = LOSS_REFERENCES[_name]
TARGETS = {
    "real": (-2.0, 0.0, 3.5, 1e4), "positive": (0.3, 1.0, 25.0), "nonnegative": (0.0, 0.3, 1.0, 25.0),
    "binary": (0.0, 0.3, 1.0), "sign": (-1.0, 1.0),
}  # fmt: skip


def pairs(spec, dtype):
    """Outputs and targets; no larger than float32's exp, or than what can be squared."""
    x = points(dtype)
    x = x[abs(x) <= (80 if spec.link == "exponential" else 1e15)]
    targets = np.array(TARGETS[spec.targets], dtype)
    near = (targets[:, None] + np.array([-1e-3, 0, 1e-3])).ravel().astype(dtype)  # nearly perfect
    if spec.link == "exponential":
        near = np.log(near[near > 0])
    x = np.concatenate([x, near])
    return np.tile(x, len(targets)), np.repeat(targets, len(x))


def terms(spec, z, t):
    """Size of what a loss adds up: its last digits are those of the largest term."""
    if spec.link == "exponential":
        return 1 + abs(z) * (1 + abs(t)) + (np.exp(z) if spec.targets == "nonnegative" else t * np.exp(-z))
    if spec.link == "sigmoid":
        return np.minimum(abs(z), 1)  # softplus may cancel an output of this size
    return abs(z - t) if spec.name == "log_cosh" else 0 * z


@both_dtypes
@pytest.mark.parametrize("name", LOSSES)
def test_loss(name, dtype):
    spec, reference = LOSSES[name], LOSS_REFERENCES[name]
    z, t = pairs(spec, dtype)
    loss, _ = loss_and_gradient(spec, z[:, None], t[:, None])
    wide_z, wide_t = z.astype(L), t.astype(L)
    exact = reference(wide_z, wide_t)
    nearby = [reference(toward_zero(z).astype(L), wide_t), terms(spec, wide_z, wide_t) * np.finfo(dtype).eps + exact]
    assert errors(loss, exact, *nearby).max() <= limit(dtype, 5)


@both_dtypes
@pytest.mark.parametrize("name", LOSSES)
def test_derivative_of_loss(name, dtype):
    spec = LOSSES[name]
    z, t = pairs(spec, dtype)
    _, gradient = loss_and_gradient(spec, z[:, None], t[:, None])
    params = [np.array(v, dtype) for v in spec.params.values()]
    exact, nearby = (evaluate(spec.slope, v, t, params=params) for v in (z, toward_zero(z)))
    jumps = abs(nearby - exact) > 0.01 * (1 + abs(exact))
    actual = gradient[:, 0]
    size = np.finfo(dtype).eps * np.maximum(terms(spec, z.astype(L), t.astype(L)), abs(exact))
    assert errors(actual[~jumps], exact[~jumps], nearby[~jumps], (size + exact)[~jumps]).max() <= limit(dtype, 5)
    np.testing.assert_array_equal(actual[jumps], exact[jumps].astype(dtype))


@both_dtypes
@pytest.mark.parametrize("name", LOSSES)
def test_loss_of_several_outputs_with_weights(name, dtype):
    """The mean over outputs, times the weight of the sample; a lane of weight 0 adds nothing."""
    spec, rng = LOSSES[name], np.random.default_rng(3)
    output = rng.normal(size=(37, 3)).astype(dtype)
    target = rng.choice(TARGETS[spec.targets][:3], (37, 3)).astype(dtype)
    weight = rng.choice([0, 0.5, 2], 37).astype(dtype)
    loss, gradient = loss_and_gradient(spec, output, target, weight)
    params = spec.params.values()
    values = evaluate(spec.loss, output.ravel(), target.ravel(), params=params).reshape(37, 3)
    slopes = evaluate(spec.slope, output.ravel(), target.ravel(), params=params).reshape(37, 3)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(loss, (weight * values.mean(axis=1)).astype(dtype), rtol=30 * eps, atol=100 * eps)
    np.testing.assert_allclose(gradient, (weight[:, None] * slopes / 3).astype(dtype), rtol=30 * eps, atol=100 * eps)
    np.testing.assert_array_equal(loss[weight == 0], 0)


@both_dtypes
@pytest.mark.parametrize("name", LOSSES)
def test_loss_at_infinity_and_nan(name, dtype):
    """NaN stays, and what is infinite is not finite: terms that cancel may leave an infinity or NaN."""
    spec = LOSSES[name]
    z = np.tile(np.array([nan, inf, -inf], dtype), len(TARGETS[spec.targets]))
    t = np.repeat(np.array(TARGETS[spec.targets], dtype), 3)
    loss, _ = loss_and_gradient(spec, z[:, None], t[:, None])
    exact = evaluate(spec.loss, z, t, params=spec.params.values())
    np.testing.assert_array_equal(np.isfinite(loss), np.isfinite(exact))
    np.testing.assert_array_equal(loss[np.isfinite(exact)], exact[np.isfinite(exact)].astype(dtype))
    assert np.isnan(loss[::3]).all()


# -- rows -----------------------------------------------------------------------------------


def rows_of_logits(dtype, width):
    rng = np.random.default_rng(width)
    x = rng.normal(scale=3, size=(40, width))
    x[1], x[2], x[3] = 1e4 * rng.choice([-1, 1], (3, width))
    x[4] = 0
    x[5] = np.finfo(dtype).smallest_subnormal
    x[6] *= 1e30
    x[7] = -1e4
    return x.astype(dtype)


@both_dtypes
@pytest.mark.parametrize("width", [1, 2, 5, 33])
@pytest.mark.parametrize("name", ROWS)
def test_row_activation(name, width, dtype):
    x, eps = rows_of_logits(dtype, width), np.finfo(dtype).eps
    reference = {"softmax": special.softmax, "log_softmax": special.log_softmax}[name]
    exact = reference(x.astype(L), axis=1)
    y = forward(ROWS[name], x)
    if name == "softmax":  # as many ulp as the logits are apart
        apart = x.max(axis=1, keepdims=True) - x
        np.testing.assert_array_less(abs(y - exact), eps * (8 + apart) * exact + np.finfo(dtype).tiny)
        np.testing.assert_allclose(y.sum(axis=1), 1, rtol=0, atol=width * eps)
    else:
        np.testing.assert_allclose(y, exact.astype(dtype), rtol=4 * eps, atol=8 * eps)


@both_dtypes
@pytest.mark.parametrize("name", ROWS)
def test_derivative_of_row_activation(name, dtype):
    """Against the Jacobian, written out."""
    x, eps = rows_of_logits(dtype, 5), np.finfo(dtype).eps
    y = forward(ROWS[name], x)
    gradient = np.random.default_rng(1).normal(size=x.shape).astype(dtype)
    wide_y = y.astype(L)
    if name == "softmax":
        jacobian = wide_y[:, :, None] * (np.eye(5) - wide_y[:, None, :])
    else:
        jacobian = np.eye(5) - np.exp(wide_y)[:, None, :]
    exact = np.einsum("ni,nij->nj", gradient, jacobian.astype(float))
    np.testing.assert_allclose(backward(ROWS[name], x, y, gradient), exact, rtol=20 * eps, atol=20 * eps)


@both_dtypes
@pytest.mark.parametrize("name", ROWS)
def test_nan_and_infinity_in_a_row(name, dtype):
    x = np.zeros((6, 3), dtype)
    x[0, 0] = x[1, 1] = x[2, 2] = nan
    x[3, 1], x[4] = -inf, 1
    y = forward(ROWS[name], x)
    assert np.isnan(y[:3]).all()  # and no other lane is touched
    third = {"softmax": 1 / 3, "log_softmax": -math.log(3)}[name]
    np.testing.assert_allclose(y[[4, 5]], third, rtol=1e-6)
    half, none = {"softmax": (0.5, 0), "log_softmax": (-math.log(2), -inf)}[name]
    np.testing.assert_allclose(y[3], [half, none, half], rtol=1e-6)


def row_targets(spec, n, width, rng):
    if spec.targets == "classes":
        hard, soft = np.eye(width)[rng.integers(0, width, n)], rng.dirichlet(np.ones(width), n)
        return np.where(rng.uniform(size=(n, 1)) < 0.5, hard, soft)
    return rng.normal(size=(n, width))


ROW_LOSS_REFERENCES = {
    "softmax_cross_entropy": lambda z, t: t.sum(1) * special.logsumexp(z, axis=1) - (t * z).sum(1),
    "categorical_hinge": lambda z, t: (z + 1 - t).max(1) - (t * z).sum(1),
    "kl_divergence": lambda z, t: special.rel_entr(t.astype(float), np.maximum(z, 1e-7).astype(float)).sum(1),
    "cosine_similarity": lambda z, t: 1 - (z * t).sum(1) / np.sqrt((z**2).sum(1) * (t**2).sum(1)),
}


@both_dtypes
@pytest.mark.parametrize("width", [2, 5, 33])
@pytest.mark.parametrize("name", ROW_LOSS_REFERENCES)
def test_row_loss(name, width, dtype):
    spec, rng, eps = ROW_LOSSES[name], np.random.default_rng(width), np.finfo(dtype).eps
    z = rng.dirichlet(np.ones(width), 30) if name == "kl_divergence" else rng.normal(scale=3, size=(30, width))
    z, t = z.astype(dtype), row_targets(spec, 30, width, rng).astype(dtype)
    weight = rng.choice([0, 0.5, 2], 30).astype(dtype)
    loss, gradient = loss_and_gradient(spec, z, t)
    exact = ROW_LOSS_REFERENCES[name](z.astype(L), t.astype(L))
    np.testing.assert_allclose(loss, exact.astype(dtype), rtol=20 * eps, atol=60 * eps)
    plain, slopes = np.empty(30), np.empty((30, width))
    for i in range(30):
        plain[i] = spec.loss(z[i].astype(float), t[i].astype(float), slopes[i], *spec.params.values())
    np.testing.assert_allclose(gradient, slopes, rtol=40 * eps, atol=40 * eps)
    weighted, weighted_gradient = loss_and_gradient(spec, z, t, weight)
    np.testing.assert_allclose(weighted, weight * loss, rtol=4 * eps)
    np.testing.assert_allclose(weighted_gradient, weight[:, None] * gradient, rtol=4 * eps)


def test_every_row_loss_is_tested():
    assert sorted(ROW_LOSS_REFERENCES) == sorted(ROW_LOSSES)


@both_dtypes
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_extreme_logits(smoothing, dtype):
    spec = nn.loss("softmax_cross_entropy", label_smoothing=smoothing)
    z = np.array([[1e4, -1e4, 0], [1e4, -1e4, 0], [-1e4, -1e4, -1e4], [1e4, 1e4, -1e4]], dtype)
    t = np.eye(3)[[1, 0, 2, 0]].astype(dtype)
    loss, gradient = loss_and_gradient(spec, z, t)
    soft = t * (1 - smoothing) + smoothing / 3
    exact = special.logsumexp(z.astype(float), axis=1) - (soft * z).sum(1)
    np.testing.assert_allclose(loss, exact, rtol=1e-6)
    np.testing.assert_allclose(gradient, special.softmax(z.astype(float), axis=1) - soft, atol=1e-7)


# -- what the compiler made of them ---------------------------------------------------------


def llvm(kernel, number):
    """The optimised code of a float32 kernel, compiled anew: Numba keeps none of what its cache holds."""
    fresh = numba.njit(nogil=True, **OPTIONS)(kernel.py_func)
    signature = signatures("float32")[number]
    fresh.compile(signature)
    return fresh.inspect_llvm(signature.args)


def assert_single_and_wide(code, vectors=True):
    assert "double" not in code
    if vectors:
        assert re.search(r"<(4|8|16) x float>", code)


@pytest.mark.compiled
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_no_double_in_an_activation(name):
    spec = ACTIVATIONS[name]
    for build, formula in ((elementwise.forward, spec.forward), (elementwise.backward, spec.slope)):
        kernel, _ = build(formula, False, elementwise.in_place(spec), len(spec.params), "float32")
        assert_single_and_wide(llvm(kernel, 0), vectors=name != "identity")


@pytest.mark.compiled
@pytest.mark.parametrize("name", ROWS)
def test_no_double_in_a_row_activation(name):
    spec = ROWS[name]
    for build, formula in ((elementwise.forward, spec.forward), (elementwise.backward, spec.slope)):
        kernel, _ = build(formula, True, False, len(spec.params), "float32")
        assert_single_and_wide(llvm(kernel, 0))


@pytest.mark.compiled
@pytest.mark.parametrize("name", sorted({*LOSSES, *ROW_LOSSES} - {"mse", "mae", "poisson", "gamma"}))
def test_no_double_in_a_loss(name):
    kernel, _ = elementwise.loss_kernel(registry.get("loss", name), "float32")
    assert_single_and_wide(llvm(kernel, 0))


@pytest.mark.compiled
@pytest.mark.parametrize("spec", numbanet_optimizers(), ids=lambda spec: spec.name)
def test_no_double_in_an_optimizer(spec):
    kernel = update.optimizer(spec.update, len(spec.states), coefficients(spec), len(spec.params),
                              list(spec.params).index("learning_rate"), "float32")
    assert_single_and_wide(llvm(kernel, 2))


@pytest.mark.compiled
@pytest.mark.parametrize("spec", numbanet_regularizers(), ids=lambda spec: spec.name)
def test_no_double_in_a_regularizer(spec):
    if spec.penalty is not None:
        assert_single_and_wide(llvm(update.penalty(spec.penalty, len(spec.params), "float32"), 2))
        assert_single_and_wide(llvm(update.penalty_gradient(spec.slope, len(spec.params), "float32"), 2))
    if spec.project is not None:
        assert_single_and_wide(llvm(update.projection(spec.project, len(spec.params), "float32")[0], 2))


# -- formulas of the user -------------------------------------------------------------------

SCALE = 1.5


def helper(x, k):
    return k * x if x > 0 else -math.expm1(-x) / 3


def with_helper(x):
    """A docstring is no formula."""
    return helper(helper(x, SCALE), 2)


def bumpy(x, width):
    t: float = x / width
    if t > 1:
        t = 1
    elif t < -1:
        t = -1 + 0 * x
    s = 2 if 0 <= t <= 0.5 or t == -1 else 1
    s *= 3
    return s * math.tanh(t) ** 2 + abs(x) ** 0.5 + max(x, -3, t) - min(1, x) + pow(t, 3) - 2**-t + x // 2 % 3


def make_closure(k):
    offset = 2
    return lambda x: k * x + offset


PAIR = (lambda x: x * x + 1, lambda x: 2 * x)  # two in a line
TRIPLE = [lambda x: 0.5 * x, lambda x: 0.25 * x, lambda x: x]; ΛΕΞΗ = "é", lambda x: x - 1  # fmt: skip # noqa: E702
SPLIT = [
    lambda x: (
        math.tanh(x)
        + 1
    ),
    lambda x:
        x,
]  # fmt: skip


def apply(formula, x, **params):
    return forward(nn.Activation("own", forward=formula, params=params), x)


@pytest.mark.parametrize("formula", [
    with_helper, make_closure(2.5), make_closure(np.float64(-3)), make_closure(True), *PAIR, *TRIPLE, ΛΕΞΗ[1], *SPLIT,
    lambda x: x * math.pi + np.pi, lambda x: 1 if x > 0 else 0, lambda x: x > 1, lambda x: min(x, math.inf),
    lambda x: math.floor(x) + math.ceil(x), lambda x: float(int(x)) / 2, lambda x: x**3 - x**-2,
    lambda x: math.sin(x) * math.atan2(x, 2), lambda x: math.copysign(1, x) if math.isfinite(x) else -1,
    numba.njit(lambda x: x * 3), lambda x: +x if not x < 0 else -x,
])  # fmt: skip
def test_user_formula(formula):
    x = np.linspace(-2.9, 3, 77).astype("float32")
    plain = getattr(formula, "py_func", formula)
    expected = [float(plain(float(v))) for v in x]
    np.testing.assert_allclose(apply(formula, x), expected, rtol=3e-6, atol=1e-6)


@both_dtypes
@pytest.mark.parametrize("width", [0.5, 2])
def test_user_formula_of_many_parts(width, dtype):
    x = np.linspace(-2.9, 3, 77).astype(dtype)
    expected = [bumpy(float(v), width) for v in x]
    np.testing.assert_allclose(apply(bumpy, x, width=width), expected, rtol=1e-5 if dtype == "float32" else 1e-13)


def test_closures_do_not_share_a_kernel():
    x = np.ones(3)
    for k in (1, 2, 3):
        np.testing.assert_array_equal(apply(make_closure(k), x), k + 2)


def row_centre(x, y, strength):
    """Subtracts part of the mean; mixes values and indices."""
    mean = 0
    for j in range(len(x)):
        mean += x[j] / len(x)
    for j in range(len(x)):
        y[j] = x[j] - strength * mean if x[j] > 0 else x[j] + j
    for j in range(1, len(x), 2):
        last = y[-1]
        y[j] = helper(y[j], last)


@both_dtypes
@pytest.mark.parametrize("width", [1, 2, 7])
def test_user_row_formula(width, dtype):
    spec = nn.Activation("centre", forward=row_centre, params={"strength": 0.5}, row=True)
    x = np.random.default_rng(0).normal(size=(20, width)).astype(dtype)
    expected = np.empty((20, width))
    for i in range(20):
        row_centre(x[i].astype(float), expected[i], 0.5)
    np.testing.assert_allclose(forward(spec, x), expected, rtol=3e-5 if dtype == "float32" else 1e-12,
                               atol=1e-6 if dtype == "float32" else 1e-14)


def test_a_new_value_compiles_nothing():
    spec = nn.Activation("own", forward=bumpy, params={"width": 1.0})
    x = np.linspace(-1, 1, 9)
    forward(spec, x)
    before = len(generate._compiled)
    results = {tuple(forward(spec.with_params(width=width), x)) for width in (0.25, 3, 7.5)}
    assert len(results) == 3
    assert len(generate._compiled) == before
    forward(nn.Activation("own", forward=lambda x: x * 0.123), x)
    assert len(generate._compiled) == before + 1  # the count does notice a kernel


def plain_swish(x, beta):
    return x / (1 + math.exp(-beta * x))


def plain_swish_derivative(x, y, beta):
    s = 1 / (1 + math.exp(-beta * x))
    return s + beta * y * (1 - s)


@pytest.mark.compiled
@pytest.mark.parametrize("formula", [
    lambda x: 0.5 * x * (1 + math.tanh(0.7978845608028654 * (x + 0.044715 * x**3))), lambda x: math.tanh(2 * x / 3),
    bumpy, with_helper, plain_swish,
])  # fmt: skip
def test_user_formula_becomes_vector_code(formula):
    count = formula.__code__.co_argcount - 1
    code = llvm(elementwise.forward(formula, False, False, count, "float32")[0], 0)
    assert_single_and_wide(code, vectors=formula is not bumpy)  # the root and the power are calls


@pytest.mark.compiled
def test_user_derivative_loss_and_optimizer_become_vector_code():
    assert_single_and_wide(llvm(elementwise.backward(plain_swish_derivative, False, False, 1, "float32")[0], 0))
    loss = nn.Loss("own", loss=lambda o, t: math.log(math.cosh(o - t)), derivative=lambda o, t: math.tanh(o - t))
    assert_single_and_wide(llvm(elementwise.loss_kernel(loss, "float32")[0], 0))

    def signed(w, g, m, learning_rate):
        m = 0.9 * m + 0.1 * g
        return w - learning_rate * math.tanh(100 * m), m

    assert_single_and_wide(llvm(update.optimizer(signed, 1, 0, 1, 0, "float32"), 2))


SCRIPT = '''
import math
import sys

import numpy as np

import numbanet as nn

KNEE = 0.25


def bend(x):
    return x if x > KNEE else KNEE * math.tanh(x)


layer = nn.Dense(2, activation=nn.Activation("own", forward=lambda x, k: bend(k * x), params={"k": 2.0}),
                 kernel_initializer="ones", use_bias=False)
model = nn.Sequential([layer], input_shape=(1,))
print(*model.predict(np.array([[-1.0], [0.1], [3.0]], np.float32))[:, 0].tolist())
'''


def test_formulas_of_a_script(tmp_path):
    """As a user runs it, twice: a kernel of the first run may come from the disk in the second."""
    script = tmp_path / "my script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    expected = [0.25 * math.tanh(-2), 0.25 * math.tanh(0.2), 6]
    for _ in range(2):
        done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        np.testing.assert_allclose([float(v) for v in done.stdout.split()[-3:]], expected, rtol=1e-6)
    script.write_text(SCRIPT.replace("KNEE = 0.25", "KNEE = 0.5"), encoding="utf-8")  # a captured number
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=True)
    changed = [0.5 * math.tanh(-2), 0.5 * math.tanh(0.2), 6]
    np.testing.assert_allclose([float(v) for v in done.stdout.split()[-3:]], changed, rtol=1e-6)
