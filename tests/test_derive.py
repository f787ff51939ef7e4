"""Derivatives that are derived: beside dual numbers, complex steps, and those written by hand."""

import ast
import inspect
import math
import operator
import re
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scipy import special

import numbanet as nn
from numbanet import math as simd
from numbanet import registry
from numbanet._source import FormulaError
from numbanet.builtins.activations import numbanet_activations
from numbanet.builtins.losses import numbanet_losses
from numbanet.cpu import elementwise, generate
from numbanet.derive import derive
from numbanet.derive.rules import RULES, digamma

inf, nan = math.inf, math.nan
L = np.longdouble
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


# -- dual numbers, by operators -------------------------------------------------------------


class Dual:
    """Value and tangent, as a textbook has them; comparisons look at the value."""

    def __init__(self, value, tangent=0.0):
        self.value, self.tangent = float(value), float(tangent)

    def __add__(self, other):
        other = dual(other)
        return Dual(self.value + other.value, self.tangent + other.tangent)

    def __mul__(self, other):
        other = dual(other)
        return Dual(self.value * other.value, self.tangent * other.value + self.value * other.tangent)

    def __truediv__(self, other):
        other = dual(other)
        return Dual(self.value / other.value,
                    self.tangent / other.value - self.value * other.tangent / other.value / other.value)

    def __pow__(self, other):
        if isinstance(other, Dual):
            return duals.exp(other * duals.log(self))
        return Dual(self.value**other, other * self.value ** (other - 1) * self.tangent)

    def __mod__(self, other):
        return self - dual(other) * (self.value // dual(other).value)

    def __neg__(self):
        return self * -1

    def __pos__(self):
        return self

    def __sub__(self, other):
        return self + -dual(other)

    def __rsub__(self, other):
        return dual(other) - self

    def __rtruediv__(self, other):
        return dual(other) / self

    def __rpow__(self, other):
        return dual(other) ** self

    def __abs__(self):
        return self * float(np.sign(self.value))

    def __bool__(self):
        return bool(self.value)

    def __int__(self):
        return int(self.value)

    def __floordiv__(self, other):
        return self.value // dual(other).value

    __radd__, __rmul__ = __add__, __mul__


for _compare in (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne):
    setattr(Dual, f"__{_compare.__name__}__", lambda a, b, compare=_compare: compare(a.value, dual(b).value))


def dual(x):
    return x if isinstance(x, Dual) else Dual(x)


def lifted(function, slope):
    return lambda x: Dual(function(dual(x).value), slope(dual(x).value) * dual(x).tangent)


duals = types.SimpleNamespace(
    exp=lifted(math.exp, math.exp), log=lifted(math.log, lambda v: 1 / v), sin=lifted(math.sin, math.cos),
    cos=lifted(math.cos, lambda v: -math.sin(v)), tanh=lifted(math.tanh, lambda v: 1 / math.cosh(v) ** 2),
    sqrt=lifted(math.sqrt, lambda v: 0.5 / math.sqrt(v)), atan=lifted(math.atan, lambda v: 1 / (1 + v * v)),
    expm1=lifted(math.expm1, math.exp), log1p=lifted(math.log1p, lambda v: 1 / (1 + v)), pi=math.pi, fabs=abs,
    floor=lambda x: math.floor(dual(x).value), pow=operator.pow,
)  # fmt: skip


def over_duals(function):
    """The same function on dual numbers, with the functions it calls."""
    function = getattr(function, "py_func", function)
    own = lambda v: duals if v is math else over_duals(v) if is_formula(v) else v
    is_formula = lambda v: isinstance(getattr(v, "py_func", v), types.FunctionType)
    scope = {**{k: own(function.__globals__[k]) for k in function.__code__.co_names if k in function.__globals__},
             "float": dual}
    cells = tuple(types.CellType(own(cell.cell_contents)) for cell in function.__closure__ or ())
    return types.FunctionType(function.__code__, scope, None, function.__defaults__, cells)


def by_duals(function, x, *params):
    return dual(over_duals(function)(Dual(x, 1.0), *params)).tangent


def check(function, points=(-2.3, -0.7, 0.31, 1.9), params=()):
    """Derived with and without the value, and with dual numbers."""
    for x in points:
        expected = pytest.approx(by_duals(function, x, *params), rel=1e-13, abs=1e-14)
        assert derive(function)(x, *params) == expected
        assert derive(function, True)(x, function(x, *params), *params) == expected


def text(function, result=False):
    """The derivative's body in one line."""
    return " ".join(inspect.getsource(derive(function, result)).split(":\n", 1)[1].split())


# -- statements and expressions -------------------------------------------------------------

SCALE = 1.5


def bump(u, width=0.5):
    return math.exp(-u * u / width)


def blend(u, v):
    w = math.tanh(u)
    return w * v + (1 - w) * u


@njit
def twisted(u):
    return u + math.sin(u)


@pytest.mark.parametrize("formula", [
    lambda x: 3.0,
    lambda x: x,
    lambda x: +x - -x,
    lambda x: 2 * x * x * x / 5 - x / (x * x + 1) + SCALE,
    lambda x: (x + 1) * (x - 2) * x * (x + 1),
    lambda x: x**3 + x**2 + x**1 + x**0 + x**-2 + (x * x + 1) ** 0.5 + pow(x, 4) + 2**x + (1 + x * x) ** x,
    lambda x: math.pow(x * x, 1.5) + math.pow(2.0, x),
    lambda x: x % 1.7 + x // 1.7 + (x * x) % (3 + x),
    lambda x: abs(x - 1) + math.fabs(x + 1) + min(x, 0.5) + max(x, 0.5, x * x) + min(x, 2 * x, -x),
    lambda x: x * x if (x > 0 and not x > 1) or x < -1 else math.sin(x),
    lambda x: math.sin(x) if -1 < x <= 1 else (x if x > 0 else math.exp(x) * x),
    lambda x: (x > 1) * x + float(x) + int(x) + bool(x) * x,
    lambda x: (x or 1.0) + (x and x * x),
    lambda x: bump(x) + bump(2 * x, 3.0) + bump(x, x * x) + blend(x, x * x) + blend(1.0, x) + blend(x, 2.0),
    lambda x: twisted(x) * twisted(x),
    lambda x: bump(bump(x)),
    lambda x: math.sin(math.pi * x) * math.floor(x),
    lambda x: 3 * (2 * math.tanh(x / 2)),
    lambda x: -2 * math.expm1(x) if x > 0 else -(math.exp(2 * x) * 4),
    lambda x: 1 / (1 + math.exp(-x)),
    lambda x: x / (1 + math.exp(-x)),
    lambda x: x * (3 / (math.exp(2 * x) - -2.0)) + bump(1 / (0.5 + math.exp(x * x))) - 2 / (math.exp(-x) + 3),
])  # fmt: skip
def test_expressions(formula):
    check(formula)


def test_limits():
    check(lambda x, a, b: -2 * min(max(math.sin(3 * x), a), b), params=(-0.4, 0.7))
    check(lambda x, a, b: max(min(b, x * x), math.exp(a)), params=(-0.4, 0.7))
    check(lambda x, a: max(a * x, 0.1) if x < 0.2 else min(1 - x, 2 * a), params=(-0.3,))


def test_parameters_are_constants():
    check(lambda x, a, b: a * x / b + b**x * x**a + (a if x > b else b * x), points=(0.4, 1.7), params=(1.3, 0.8))
    check(lambda x, a: a * math.expm1(x / a) if x < a else a * math.exp(x), params=(0.5,))
    for exponent in (0.0, 1.0, 2.0):
        assert derive(lambda x, p: x**p)(0.0, exponent) == (exponent == 1)
    assert derive(lambda x, p: p**x)(2.0, 0.0) == 0


def test_statements():
    def formula(x, k):
        """Not part of it."""
        a: float = x / 2
        b = c = a * a
        b += 1
        b *= x
        if b > k:
            c, b = b, c
        elif b < -1:
            c *= 2
        else:
            pass
        d = 1.0
        if x > 0:
            d = x
        x = x * d
        x -= math.sin(x)
        x = e = x * x + d
        return a * x + e if c > 0 else -b

    for k in (-1.0, 0.1, 3.0):
        check(formula, params=(k,))


def test_loops():
    def formula(x):
        total = 0.0
        term = 1.0
        last = 0.0
        for j in range(1, 12):
            if j > 5:
                total += last * x
            for i in range(2):
                term *= x / (j + i)
            last = x * 0.1
            total += term
        return total

    check(formula)


def test_early_returns():
    def formula(x):
        if x < -1:
            return x * x
        y = math.sin(x)
        if y > 0.5:
            return y * x
        return y

    check(formula)


def test_names_of_the_author():
    def formula(x, y, t1, d_x, math_=2.0):
        d_t1 = x * t1
        sign = abs(d_t1) * d_x + y
        x_ = sign * sign * math_
        return x_ + math.tanh(x)

    check(lambda x: formula(x, 0.5, 1.5, -0.3))
    for x in (-2.0, 0.7):
        args = (0.5, 1.5, -0.3, 2.0)
        assert derive(formula, True)(x, formula(x, *args), *args) == pytest.approx(by_duals(formula, x, *args))


def test_captured_values():
    factor = 2.5

    def inner(u):
        return factor * u * u

    check(lambda x: inner(x) + factor * x)


@pytest.mark.parametrize(("formula", "expected"), [
    (lambda x: 3 * x + 2, "return 3.0"),
    (lambda x: math.exp(x), "return y"),
    (lambda x: math.tanh(x), "return 1.0 - y * y"),
    (lambda x: 1.7159 * math.tanh(2 * x), "return 2.0 * (1.7159 - y * y / 1.7159)"),
    (lambda x: 0.5 * 3 * x * x, "return 3.0 * x"),
    (lambda x: 1 / (1 + math.exp(-x)), "return y * (1.0 - y)"),
    (lambda x: 3 / (math.exp(2 * x) + 2), "return -(2.0 * (y * (1.0 - 0.6666666666666666 * y)))"),
    (lambda x: math.sqrt(x), "return 0.5 / y"),
    (lambda x: math.sin(x) * 0 + 1, "return 0.0"),
    (lambda x: x if x > 0 else 2 * math.expm1(x), "if y > 0.0: return 1.0 else: return y + 2.0"),
    (lambda x: -2 * (x if x > 0 else math.expm1(x)), "if y < 0.0: return -2.0 else: return y - 2.0"),
    (lambda x: x if x > 0 else 0.0, "if y > 0.0: return 1.0 else: return 0.0"),
    (lambda x: x if x > 0 else 0.5 * x, "if x > 0: return 1.0 else: return 0.5"),  # half of the smallest number is 0
    (lambda x: x if x > 0 else math.exp(x), "if x > 0: return 1.0 else: return y"),
    (lambda x: 0.0 if x < 0 else (1.0 if x >= 0 else x), "if x < 0 or x >= 0: return 0.0 else: return 1.0"),
    (lambda x: 2.0 if x < 0 else x - x + 2, "return 0.0"),
    (lambda x: min(max(x, 0), 6), "return (1.0 if y > 0 else 0.0) if y < 6 else 0.0"),
    (lambda x: max(-1, min(x / 2, 1)), "return (0.5 if y < 1 else 0.0) if y > -1 else 0.0"),
    (lambda x: 3 * max(x, 0), "t1 = max(x, 0) return 3.0 if t1 > 0 else 0.0"),
    (lambda x: max(math.exp(x), 2), "t1 = math.exp(x) return t1 if y > 2 else 0.0"),
])  # fmt: skip
def test_what_is_left(formula, expected):
    """Zeros and ones folded, dead statements dropped, the value taken from y."""
    assert text(formula, True) == expected


def test_each_subexpression_is_computed_once():
    def formula(x):
        return x * math.exp(-x * x) + math.exp(-x * x) / (1 + math.exp(-x * x))

    assert text(formula).count("math.exp") == 1


def test_the_value_is_used_where_the_whole_is_returned_only():
    def formula(x):
        y = math.exp(x)
        x = y * y
        return x + y

    check(formula)


EXPRESSIONS = st.recursive(
    st.sampled_from(["x", "x", "p", "q", "0.5", "2", "a", "b"]),
    lambda part: st.one_of(
        st.builds("({} {} {})".format, part, st.sampled_from("+-*"), part),
        st.builds("({} / (1.5 + {} * {}))".format, part, part, part),
        st.builds("math.{}({})".format, st.sampled_from(["sin", "tanh", "atan", "cos"]), part),
        st.builds("(-{})".format, part),
        st.builds("abs({})".format, part),
        st.builds("math.sqrt(1 + abs({}))".format, part),
        st.builds("bump({})".format, part),
        st.builds("blend({}, {})".format, part, part),
        st.builds("{}({}, {})".format, st.sampled_from(["min", "max"]), part, part),
        st.builds("({} if {} > {} else {})".format, part, part, part, part),
        st.builds("({})**{}".format, part, st.integers(0, 3)),
    ),
    max_leaves=8,
)
STATEMENTS = st.lists(st.one_of(
    st.builds("{} = {}".format, st.sampled_from("abx"), EXPRESSIONS),
    st.builds("{} {}= 0.1 * {}".format, st.sampled_from("abx"), st.sampled_from("+-*"), EXPRESSIONS),
    st.builds("a, b = {}, {}".format, EXPRESSIONS, EXPRESSIONS),
    st.builds("if {} > {}:\n        a = {}\n        b = {}\n    else:\n        x = {}".format, *[EXPRESSIONS] * 5),
    st.builds("for j in range(3):\n        a = 0.5 * {}\n        b = 0.5 * {} + j".format, EXPRESSIONS, EXPRESSIONS),
), max_size=4)  # fmt: skip


@given(body=STATEMENTS, result=EXPRESSIONS, x=st.floats(-2, 2))
@settings(max_examples=150)
def test_programs(tmp_path_factory, body, result, x):
    path = tmp_path_factory.mktemp("programs") / "program.py"
    lines = ["a = x + p", "b = 0.25", *body, f"return {result}"]
    path.write_text("\n    ".join(["def program(x, p, q):", *lines]) + "\n")
    scope = {"math": math, "bump": bump, "blend": blend}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    program, params = scope["program"], (0.7, -1.3)
    try:
        y = program(x, *params)
        near = [by_duals(program, x + h, *params) for h in (-1e-9, 0, 1e-9)]
    except (ArithmeticError, ValueError):
        return
    if not all(map(math.isfinite, [y, *near])) or max(near) - min(near) > 1e-5 * (1 + abs(near[1])):
        return  # a kink, or steep
    for slope in (derive(program)(x, *params), derive(program, True)(x, y, *params)):
        assert slope == pytest.approx(near[1], rel=1e-7, abs=1e-7)


# -- functions of math ----------------------------------------------------------------------

H = L("1e-150")  # a complex step: no difference, so nothing cancels
HALF, WIDE, POSITIVE = np.linspace(-0.999, 0.999, 37), np.linspace(-30, 30, 61) + 0.013, np.geomspace(1e-6, 1e6, 49)
PLANE = np.linspace(-3, 3, 24) + 0.01
FUNCTIONS = {  # the formula, the same for complex numbers, points
    "acos": (lambda x: math.acos(x), np.arccos, HALF),
    "acosh": (lambda x: math.acosh(x), np.arccosh, 1 + POSITIVE),
    "asin": (lambda x: math.asin(x), np.arcsin, HALF),
    "asinh": (lambda x: math.asinh(x), lambda z: np.sign(z.real) * np.arcsinh(z * np.sign(z.real)), WIDE),
    "atan": (lambda x: math.atan(x), np.arctan, WIDE),
    "atan2": (lambda x: math.atan2(x, 0.7), lambda z: np.arctan(z / L(0.7)), WIDE),
    "atan2 z": (lambda x: math.atan2(0.7, x), lambda z: np.arctan(-z / L(0.7)), WIDE),
    "atanh": (lambda x: math.atanh(x), np.arctanh, HALF),
    "ceil": (lambda x: x * math.ceil(x), lambda z: z * np.ceil(z.real), WIDE),
    "copysign": (lambda x: math.copysign(x, -2.0), lambda z: -np.sign(z.real) * z, WIDE),
    "copysign z": (lambda x: x + math.copysign(2.0, x), lambda z: z, WIDE),
    "cos": (lambda x: math.cos(x), np.cos, WIDE),
    "cosh": (lambda x: math.cosh(x), np.cosh, WIDE),
    "degrees": (lambda x: math.degrees(x), lambda z: z * 180 / np.pi, WIDE),
    "exp": (lambda x: math.exp(x), np.exp, WIDE),
    "exp2": (lambda x: math.exp2(x), np.exp2, WIDE),
    "expm1": (lambda x: math.expm1(x), np.expm1, PLANE),
    "fabs": (lambda x: math.fabs(x), lambda z: np.sign(z.real) * z, WIDE),
    "floor": (lambda x: x * math.floor(x), lambda z: z * np.floor(z.real), WIDE),
    "fmod": (lambda x: math.fmod(x * x, 2.5), lambda z: z * z, PLANE),
    "fmod z": (lambda x: math.fmod(2.5, x), lambda z: 2.5 - z * np.trunc(2.5 / z.real), PLANE),
    "hypot": (lambda x: math.hypot(x, 1.5), lambda z: np.sqrt(z * z + 2.25), WIDE),
    "hypot z": (lambda x: math.hypot(1.5, x), lambda z: np.sqrt(z * z + 2.25), WIDE),
    "isfinite": (lambda x: x if math.isfinite(x) else 2 * x, lambda z: z, WIDE),
    "isinf": (lambda x: 2 * x if math.isinf(x) else x, lambda z: z, WIDE),
    "isnan": (lambda x: 2 * x if math.isnan(x) else x, lambda z: z, WIDE),
    "log": (lambda x: math.log(x), np.log, POSITIVE),
    "log10": (lambda x: math.log10(x), np.log10, POSITIVE),
    "log1p": (lambda x: math.log1p(x), np.log1p, POSITIVE - 0.9),
    "log2": (lambda x: math.log2(x), np.log2, POSITIVE),
    "pow": (lambda x: math.pow(x, 2.7), lambda z: z ** L(2.7), POSITIVE),
    "pow z": (lambda x: math.pow(1.7, x), lambda z: L(1.7) ** z, WIDE),
    "radians": (lambda x: math.radians(x), lambda z: z * np.pi / 180, WIDE),
    "sin": (lambda x: math.sin(x), np.sin, WIDE),
    "sinh": (lambda x: math.sinh(x), np.sinh, WIDE),
    "sqrt": (lambda x: math.sqrt(x), np.sqrt, POSITIVE),
    "tan": (lambda x: math.tan(x), np.tan, PLANE),
    "tanh": (lambda x: math.tanh(x), np.tanh, PLANE),
    "trunc": (lambda x: x * math.trunc(x), lambda z: z * np.trunc(z.real), WIDE),
}  # fmt: skip


SPECIAL = {  # the formula, its derivative, points
    "erf": (lambda x: math.erf(x), lambda x: 2 / np.sqrt(np.pi) * np.exp(-(x.astype(L) ** 2)), PLANE),
    "erfc": (lambda x: math.erfc(x), lambda x: -2 / np.sqrt(np.pi) * np.exp(-(x.astype(L) ** 2)), PLANE),
    "gamma": (lambda x: math.gamma(x), lambda x: special.gamma(x) * special.psi(x), np.linspace(-4.9, 20, 61)),
    "lgamma": (lambda x: math.lgamma(x), special.psi, np.linspace(-9.97, 30, 61)),
}


def references(dtype):
    """Name, formula, points of that type, derivative in long double."""
    for name, (formula, function, x) in FUNCTIONS.items():
        x = x.astype(dtype)
        yield name, formula, x, np.broadcast_to(function(x.astype(L) + 1j * H).imag / H, x.shape)
    for name, (formula, slope, x) in SPECIAL.items():
        x = x.astype(dtype).astype(float)
        yield name, formula, x, slope(x)


def evaluate(pairs, dtype):
    """Formulas of one argument as one compiled kernel, each at points of its own."""
    formulas = generate.translator(dtype)
    names = [formulas.scalar(formula) for formula, _ in pairs]
    calls = "".join(f"    for i in range(x{k}.size):\n        out[{k}, i] = {name}(x{k}[i])\n"
                    for k, name in enumerate(names))
    arguments = ", ".join(f"x{k}" for k in range(len(pairs)))
    body = f"@kernel\ndef evaluate({arguments}, out):\n{calls}"
    points = [np.asarray(x, dtype) for _, x in pairs]
    out = np.full((len(pairs), max(x.size for x in points)), nan, dtype)
    generate.compile_text("evaluate", formulas, body)(*points, out)
    return [row[: x.size] for row, x in zip(out, points, strict=True)]


def test_every_function_has_a_rule_and_a_test():
    supported = set(simd._FORMULAS | simd._UNARY | simd._BINARY) - {"max", "min"}
    assert set(RULES) == supported == {name.split()[0] for name in [*FUNCTIONS, *SPECIAL]}


CANCELS = {"expm1": 1, "tanh": 2, "gamma": 60, "lgamma": 60}  # y + 1, 1 - y * y, and what the digamma function sums


def assert_close(name, actual, expected, dtype):
    eps = np.finfo(dtype).eps
    few, absolute = (60, 60) if "gamma" in name else (8, CANCELS.get(name, 0))
    np.testing.assert_allclose(actual.astype(L), expected, rtol=few * eps, atol=absolute * eps, err_msg=name)


def test_functions_of_math():
    for name, formula, x, expected in references("float64"):
        slopes = np.array([derive(formula)(v) for v in x.tolist()])
        assert_close(name, slopes, expected, "float64")


@both_dtypes
def test_compiled_functions_of_math(dtype):
    every = list(references(dtype))
    slopes = evaluate([(derive(formula), x) for _, formula, x, _ in every], dtype)
    for (name, _, _, expected), actual in zip(every, slopes, strict=True):
        assert_close(name, actual, expected, dtype)


@pytest.mark.parametrize(("formula", "x", "expected"), [
    (lambda x: math.exp(x), -800.0, 0), (lambda x: math.tanh(x), 800.0, 0), (lambda x: math.erf(x), 1e200, 0),
    (lambda x: math.erfc(x), -1e200, 0), (lambda x: math.atan(x), 1e200, 0), (lambda x: math.log(x), 1e300, 1e-300),
    (lambda x: math.acosh(x), 1e200, 1e-200), (lambda x: math.asinh(x), -1e200, 1e-200),
    (lambda x: math.sqrt(x), 1e-300, 5e149),
    (lambda x: math.hypot(x, 1e200), 1e200, 0.5**0.5), (lambda x: math.hypot(x, 0.0), 0.0, 0),
    (lambda x: math.atan2(x, 1e200), 1e200, 5e-201), (lambda x: math.log1p(x), -0.5, 2),
    (lambda x: math.lgamma(x), 1e300, math.log(1e300)), (lambda x: math.lgamma(x), 1e-300, -1e300),
    (lambda x: math.pow(x, 0.0), 0.0, 0),
    (lambda x: math.pow(0.0, x), 2.0, 0), (lambda x: math.fmod(x, 3.0), 1e300, 1), (lambda x: x**-1, 1e-100, -1e200),
])  # fmt: skip
def test_far_out(formula, x, expected):
    assert derive(formula)(x) == pytest.approx(expected, rel=1e-13)
    assert evaluate([(derive(formula), [x])], "float64")[0][0] == pytest.approx(expected, rel=1e-13)


def test_digamma():
    x = np.concatenate([np.linspace(-20.25, 30, 403), np.geomspace(1e-8, 1e8, 60)])
    x = x[x != np.round(x)]
    np.testing.assert_allclose([digamma(v) for v in x.tolist()], special.psi(x), rtol=2e-14, atol=2e-14)


# -- kinks and overflow ---------------------------------------------------------------------


@pytest.mark.parametrize(("formula", "x", "expected"), [
    (lambda x: abs(x), 0.0, 0), (lambda x: max(x, 0.0), 0.0, 0), (lambda x: min(x, 3 * x), 0.0, 2),
    (lambda x: min(max(x, -1), 1), 1.0, 0), (lambda x: max(x, 0.0) + 1, 0.0, 0.5),
    (lambda x: x if x > 0 else 0.0, 0.0, 0),
    (lambda x: x if x >= 0 else 0.0, 0.0, 1), (lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))), 0.0, 0.5),
    (lambda x: max(x, -x) - abs(x), 0.0, 0),
    (lambda x: max(-x, 0.0) + math.log1p(math.exp(-abs(x))), 0.0, -0.5),
    (lambda x: 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x)), 0.0, 0.25),
])  # fmt: skip
def test_at_a_kink(formula, x, expected):
    """The branch taken; of equals the mean, so that what is smooth in spite of its kinks has its derivative.

    What returns a limit, and nothing beside it, is flat there.
    """
    assert derive(formula)(x) == expected
    assert derive(formula, True)(x, formula(x)) == expected


@both_dtypes
def test_overflow_that_is_not_taken(dtype):
    """What overflows in the other branch, or below a fraction line, does no harm."""
    formulas = [lambda x: math.exp(x) if x < 0 else x + math.exp(-x), lambda x: 1 / (1 + math.exp(-x)),
                lambda x: x / (1 + math.exp(-x)), lambda x: math.log(x) * x if x > 0 else 0.0,
                lambda x: math.exp(-x * x) * x, lambda x: 1 / (1 + x * x), lambda x: 1 / math.cosh(x)]
    x = np.array([-1e4, -750, -90, 0, 90, 750, 1e4], dtype)
    expected = [[0] * 3 + [0] + [1] * 3, [0] * 3 + [0.25] + [0] * 3, [0] * 3 + [0.5] + [1] * 3,
                [0] * 4 + (np.log(x[4:].astype(float)) + 1).tolist(), [0] * 3 + [1] + [0] * 3,
                (-2 * x.astype(float) / (1 + x.astype(float) ** 2) ** 2).tolist(), [0] * 7]
    for actual, wanted in zip(evaluate([(derive(f), x) for f in formulas], dtype), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=2e-6, atol=1e-36)


# -- errors ---------------------------------------------------------------------------------


def recursive(x):
    return x if x < 1 else recursive(x - 1)


def pair(x):
    return x, 2 * x


def unpacks(x):
    a, b = pair(x)
    return a + b


def rounds(x):
    return x + round(x)


def loops(x):
    while x > 1:
        x = x / 2
    return x


def inside(x):
    return 1 + loops(x * 2)


def otherwise(x):
    for _ in range(2):
        x = x * x
    else:
        x = 2 * x
    return x


@pytest.mark.parametrize(("formula", "line", "message"), [
    (otherwise, 1, "uses For"), (recursive, 0, "calls itself"),
    (unpacks, 1, "assigns to '(a, b)'"), (rounds, 1, "uses 'round'"),
    (loops, 1, "uses While"), (lambda x: math.exp(x=x), 0, "uses 'math.exp(x=x)'"),
    (lambda x: math.cbrt(x), 0, "uses 'math.cbrt(x)'"), (lambda x: [x][0], 0, "uses '[x][0]'"),
    (lambda x: max(x), 0, "uses 'max(x)'"),
    (lambda x: math.pow(x), 0, "uses 'math.pow(x)'"), (lambda: 1.0, 0, "has no argument"),
])  # fmt: skip
def test_errors_name_the_place(formula, line, message):
    place = f"{formula.__code__.co_filename}:{formula.__code__.co_firstlineno + line}: formula '{formula.__qualname__}'"
    with pytest.raises(FormulaError, match=re.escape(f"{place} {message}")) as caught:
        derive(formula)
    if "argument" not in message and "round" not in message:
        assert "give derivative=" in str(caught.value)


def test_error_in_a_helper():
    with pytest.raises(FormulaError, match=rf":{loops.__code__.co_firstlineno + 1}: formula 'loops' uses While, which"):
        derive(inside)


def test_training_names_the_place():
    model = nn.Sequential([nn.Dense(2, activation=nn.Activation("loops", forward=loops))], input_shape=3)
    with pytest.raises(FormulaError, match="formula 'loops' uses While"):
        nn.Trainer(model, "mse").fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1)


# -- plugins --------------------------------------------------------------------------------


def test_derived_says_which():
    assert nn.Activation("own", forward=lambda x: x * x).derived
    assert not nn.Activation("own", forward=lambda x: x * x, derivative=lambda x, y: 2 * x).derived
    assert not registry.get("activation", "softmax").derived
    assert registry.get("activation", "tanh").derived
    assert not registry.get("activation", "sigmoid").derived
    assert registry.get("loss", "mse").derived
    assert not registry.get("loss", "softmax_cross_entropy").derived
    assert registry.get("regularizer", "l2").derived
    assert not registry.get("regularizer", "max_norm").derived
    assert registry.get("regularizer", "max_norm").slope is None
    assert nn.Activation("own", forward=lambda x, y: None, row=True).slope is None


def test_output_over_input():
    """A derivative that is derived without x saves the memory of x."""
    for forward, alone in ((lambda x: math.tanh(x), True), (lambda x: 2 * math.exp(x), True),
                           (lambda x: x if x > 0 else math.expm1(x), True), (lambda x: min(max(x, 0), 6), True),
                           (lambda x: x if x > 0 else 0.5 * x, False), (loops, False)):
        assert elementwise.in_place(nn.Activation("own", forward=forward)) == alone


def test_source_can_be_read():
    def gaussian(x, width):
        return math.exp(-x * x / width)

    source = inspect.getsource(nn.Activation("own", forward=gaussian, params={"width": 2.0}).slope)
    assert source.startswith("def gaussian_derivative(x, y, width):\n")
    assert ast.parse(source)


@pytest.mark.parametrize(("plugin", "message"), [
    (nn.Activation("own", forward=lambda x: x * x, derivative=lambda x, y: x),
     "Activation 'own': derivative gives -7.31 at x = -7.31, where the derivative of forward is -14.62; correct it, or "
     "leave derivative= out to have it derived"),
    (nn.Activation("own", forward=lambda x, a: math.exp(a * x), derivative=lambda x, y, a: y, params={"a": 2.0}),
     "at x = -2.417, a = 2, where"),
    (nn.Loss("own", loss=lambda z, t: (z - t) ** 2, derivative=lambda z, t: z - t), "output = -7.31, target = -1.729,"),
    (nn.Loss("own", loss=lambda z, t: math.log(1 + math.exp(-z * t)), derivative=lambda z, t: t / (1 + math.exp(z * t)),
             targets="sign"), "target = -1, "),
    (nn.Regularizer("own", penalty=lambda w, s: s * w * w, derivative=lambda w, s: s * w, params={"s": 0.5}),
     "Regularizer 'own': derivative gives -3.655 at w = -7.31, s = 0.5, where the derivative of penalty is -7.31"),
])  # fmt: skip
def test_wrong_derivative(plugin, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        _ = plugin.slope


def test_wrong_derivative_is_found_before_training():
    wrong = nn.Activation("wrong", forward=lambda x: x * x, derivative=lambda x, y: x)
    with pytest.raises(ValueError, match="Activation 'wrong': derivative gives"):
        nn.Trainer(nn.Sequential([nn.Dense(1, activation=wrong)], input_shape=2), "mse").fit(
            np.ones((3, 2)), np.ones((3, 1)), epochs=1)


def test_surrogate():
    """A straight-through estimator differs on purpose."""
    straight = lambda x, y: 1.0
    binary = nn.Activation("binary", forward=lambda x: 1.0 if x > 0 else -1.0, derivative=straight, surrogate=True)
    assert binary.slope is straight
    absolute = nn.Loss("absolute", loss=lambda z, t: abs(z - t), derivative=lambda z, t: z - t, surrogate=True)
    assert absolute.slope is absolute.derivative
    with pytest.raises(TypeError, match="Activation 'own': a surrogate needs derivative="):
        nn.Activation("own", forward=lambda x: x, surrogate=True)
    with pytest.raises(TypeError, match="Loss 'own': a surrogate needs derivative="):
        nn.Loss("own", loss=lambda z, t: z - t, surrogate=True)


def test_what_cannot_be_compared_is_taken_as_given():
    given = lambda x, y: 1.0
    assert nn.Activation("own", forward=loops, derivative=given).slope is given
    root = lambda x, y: 0.5 / y  # the square root has real values at some points only
    assert nn.Activation("own", forward=lambda x: math.sqrt(x), derivative=root).slope is root


def test_training_by_derived_formulas():
    """Activation, loss and penalty without derivatives, beside the same with them."""
    def plugins(given):
        return (
            nn.Activation("bent", forward=lambda x: x + (math.sqrt(x * x + 1) - 1) / 2,
                          derivative=(lambda x, y: 1 + x / (2 * math.sqrt(x * x + 1))) if given else None),
            nn.Loss("cubic", loss=lambda z, t: abs(z - t) ** 3,
                    derivative=(lambda z, t: 3 * (z - t) * abs(z - t)) if given else None),
            nn.Regularizer("quartic", penalty=lambda w, s: s * w**4, params={"s": 0.01},
                           derivative=(lambda w, s: 4 * s * w**3) if given else None),
        )

    rng, results = np.random.default_rng(0), []
    X, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    for activation, loss, penalty in (plugins(True), plugins(False)):
        model = nn.Sequential([nn.Dense(5, activation=activation), nn.Dense(2)], input_shape=3)
        results.append(nn.Trainer(model, loss, regularizer=penalty, dtype="float64", seed=0).loss_and_gradient(X, y))
    assert results[0][0] == results[1][0]
    np.testing.assert_allclose(results[1][1], results[0][1], rtol=1e-13, atol=1e-15)


# -- built-ins ------------------------------------------------------------------------------

TEXTBOOK = {
    "identity": lambda x, y: 1.0,
    "tanh": lambda x, y: 1 / math.cosh(min(abs(x), 350)) ** 2,
    "scaled_tanh": lambda x, y: 2 / 3 * 1.7159 / math.cosh(min(2 / 3 * abs(x), 350)) ** 2,
    "leaky_relu": lambda x, y, alpha: 1.0 if x > 0 else alpha,
    "elu": lambda x, y, alpha: 1.0 if x > 0 else alpha * math.exp(x),
    "exponential": lambda x, y: y,
    "mean_squared_error": lambda z, t: 2 * (z - t),
    "mean_absolute_error": lambda z, t: float(np.sign(z - t)),
    "poisson_deviance": lambda z, t: math.exp(z) - t,
    "gamma_deviance": lambda z, t: 1 - t * math.exp(-z),
    "binary_cross_entropy": lambda z, t, s: float(special.expit(z)) - (t * (1 - s) + 0.5 * s),
    "hinge": lambda z, t: -t if 1 - t * z > 0 else 0.0,
    "squared_hinge": lambda z, t: -2 * t * max(1 - t * z, 0),
    "l1": lambda w, s: s * float(np.sign(w)),
    "l2": lambda w, s: s * w,
    "elastic_net": lambda w, s, r: s * (r * float(np.sign(w)) + (1 - r) * w),
}


def focal_derivative(z, t, alpha, gamma):
    p, q, miss, alarm = special.expit(z), special.expit(-z), np.logaddexp(0, -z), np.logaddexp(0, z)
    positive = -alpha * t * q**gamma * (gamma * p * miss + q)
    return float(positive + (1 - alpha) * (1 - t) * p**gamma * (gamma * q * alarm + p))


TEXTBOOK["focal"] = focal_derivative
ORDINARY = np.concatenate([np.linspace(-9, 9, 145), np.random.default_rng(0).normal(scale=3, size=100)]).tolist()
EXTREME = [s * v for v in (5e-324, 1e-300, 1e-20, 50.0, 300.0, 1e4, 1e30, 1.7e308) for s in (-1, 1)]
KINKS = {"step": 0, "sigmoid": 0, "relu": 0, "leaky_relu": 0, "elu": 0, "relu6": (0, 6), "selu": 0, "celu": 0,
         "softsign": 0, "hard_sigmoid": (-3, 3), "hard_tanh": (-1, 1), "hard_silu": (-3, 3)}


@pytest.mark.parametrize("spec", [s for s in numbanet_activations() if not s.row], ids=lambda spec: spec.name)
def test_derived_beside_by_hand(spec):
    by_hand, derived = spec.derivative or TEXTBOOK[spec.name], derive(spec.forward, True)
    kinks = np.atleast_1d(KINKS.get(spec.name, nan))
    for x in [*ORDINARY, *EXTREME]:
        overflows = (spec.name == "exponential" and x > 700) or (spec.name == "gelu_tanh" and abs(x) > 1e150)
        if x in kinks or overflows:
            continue
        args = (x, spec.forward(x, *spec.params.values()), *spec.params.values())
        assert derived(*args) == pytest.approx(by_hand(*args), rel=1e-13, abs=4e-15 if abs(x) < 1e3 else 1e-12), x


@pytest.mark.parametrize("spec", [s for s in numbanet_losses() if not s.row], ids=lambda spec: spec.name)
def test_derived_beside_by_hand_of_a_loss(spec):
    name = {"mse": "mean_squared_error", "mae": "mean_absolute_error"}.get(spec.name, spec.name)
    name += "_deviance" if name in ("poisson", "gamma") else ""
    by_hand, derived, params = spec.derivative or TEXTBOOK[name], derive(spec.loss), spec.params.values()
    targets = {"positive": (0.3, 1.0, 25.0), "nonnegative": (0.0, 0.3, 25.0), "binary": (0.0, 0.3, 1.0),
               "sign": (-1.0, 1.0)}.get(spec.targets, (-2.0, 0.0, 3.5))
    for t in targets:
        for z in [*ORDINARY, *EXTREME]:
            if abs(z) > 300 and spec.link == "exponential":
                continue
            if spec.name == "quantile" and z == t:
                continue
            expected = by_hand(z, t, *params)
            scale = 1 + math.exp(abs(z)) if spec.link == "exponential" else 1
            assert derived(z, t, *params) == pytest.approx(expected, rel=1e-12, abs=4e-15 * scale), (z, t)


@pytest.mark.parametrize("name", ["l1", "l2", "elastic_net"])
def test_derived_beside_by_hand_of_a_penalty(name):
    spec = registry.get("regularizer", name, strength=0.3)
    for w in [0.0, *ORDINARY, *EXTREME]:
        args = (w, *spec.params.values())
        assert spec.slope(*args) == pytest.approx(TEXTBOOK[name](*args), rel=1e-15)
