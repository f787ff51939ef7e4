"""The twins of math's functions: errors in ulp, the edges of the formats, and what LLVM makes of them."""

import builtins
import functools
import math
import re
import subprocess
import sys
from decimal import Context, Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config, float32, njit
from scipy import special

import numbanet.math as twins
from numbanet.cpu import host
from numbanet.math import twin

PRECISE = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sinh": np.sinh, "cosh": np.cosh,
    "tanh": np.tanh, "erf": special.erf, "erfc": special.erfc,
}
DTYPES = ("float32", "float64")
# of the kernels that call the twins: theirs must not reach into the twins
FAST = {"nsz", "arcp", "contract", "afn", "reassoc"}
inf, nan = math.inf, math.nan

both_dtypes = pytest.mark.parametrize("dtype", DTYPES)
each_precise = pytest.mark.parametrize("name", PRECISE)
needs_compiler = pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled")


@functools.cache
def loop(name, dtype):
    """Kernel as the code generator writes it."""
    scope = {"f": getattr(twins, twin(name, dtype))}
    exec("def kernel(a, out):\n    for i in range(a.size):\n        out[i] = f(a[i])\n", scope)
    return njit(scope["kernel"], error_model="numpy", fastmath=FAST)


@functools.cache
def pairs(name, dtype):
    """The same for two arguments."""
    scope = {"f": getattr(twins, twin(name, dtype))}
    exec("def kernel(a, b, out):\n    for i in range(a.size):\n        out[i] = f(a[i], b[i])\n", scope)
    return njit(scope["kernel"], error_model="numpy", fastmath=FAST)


def apply(name, x):
    out = np.empty_like(x)
    loop(name, str(x.dtype))(x, out)
    return out


def tolerance(name):
    return {"erfc": 4, "tanh": 3}.get(name, 2)


def points(name, dtype, n):
    """All magnitudes, where most work is done, and where results overflow, go subnormal and vanish."""
    info = np.finfo(dtype)
    top, tiny, bottom = (math.log(v) for v in (info.max, info.tiny, info.smallest_subnormal))
    magnitudes = np.exp(np.linspace(bottom, top, n))
    x = np.concatenate([
        -magnitudes, magnitudes, np.linspace(-1, 1, n), np.linspace(-20, 20, n), np.linspace(0.5, 2, n),
        -1 + np.exp(np.linspace(math.log(info.epsneg), 0, n)), np.linspace(top - 2, top + 2, n),
        np.linspace(bottom - 2, tiny + 2, n), np.linspace(0, math.sqrt(-bottom) + 1, n)]).astype(dtype)
    lowest = {"log": 0, "log1p": -1}.get(name, -inf)
    return x[(x > lowest) & np.isfinite(x)]


PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")


def decimal_erf(x):
    """Power series, of positive terms; to 60 digits for |x| <= 3."""
    term = total = 2 * x / PI.sqrt() * (-x * x).exp()
    for n in range(1, 200):
        term *= 2 * x * x / (2 * n + 1)
        total += term
    return total


def decimal_erfc(x):
    """Continued fraction for large x."""
    if x < 0:
        return 2 - decimal_erfc(-x)
    if x < 3:
        return 1 - decimal_erf(x)
    fraction = x
    for n in range(300, 0, -1):
        fraction = x + Decimal(n) / 2 / fraction
    return (-x * x).exp() / PI.sqrt() / fraction


def decimal_tanh(x):
    e = (-2 * abs(x)).exp()
    return ((1 - e) / (1 + e)).copy_sign(x)


def from_series(function, series):
    """Function, but its series where 60 digits would cancel."""
    return lambda x: function(x) if abs(x) > Decimal("1e-20") else series(x)


DECIMAL = {
    "exp": lambda x: x.exp(),
    "expm1": from_series(lambda x: x.exp() - 1, lambda x: x + x * x / 2),
    "log": lambda x: x.ln(),
    "log1p": from_series(lambda x: (1 + x).ln(), lambda x: x - x * x / 2),
    "sinh": from_series(lambda x: (x.exp() - (-x).exp()) / 2, lambda x: x),
    "cosh": lambda x: (x.exp() + (-x).exp()) / 2,
    "tanh": from_series(decimal_tanh, lambda x: x),
    "erf": lambda x: decimal_erf(x) if abs(x) < 3 else (1 - decimal_erfc(abs(x))).copy_sign(x),
    "erfc": decimal_erfc,
}


def ulps(actual, exact, rounded):
    """Errors in units of the last place of results that are finite."""
    return np.abs(actual.astype(np.float64) - exact) / np.spacing(np.abs(rounded)).astype(np.float64)


@each_precise
def test_float32_against_float64(name):
    x = points(name, np.float32, 60 if config.DISABLE_JIT else 20_000)
    actual = apply(name, x)
    with np.errstate(all="ignore"):
        exact = PRECISE[name](x.astype(np.float64))
        rounded = exact.astype(np.float32)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(actual[~finite], rounded[~finite])
    assert ulps(actual[finite], exact[finite], rounded[finite]).max() <= tolerance(name)


@each_precise
def test_float64_against_decimal(name):
    x = np.concatenate([points(name, np.float64, 40), [0.21928878853190809, 0.23097111144051194]])  # worst of tanh
    actual = apply(name, x)
    with np.errstate(all="ignore"):
        finite = np.isfinite(PRECISE[name](x))
    np.testing.assert_array_equal(np.abs(actual[~finite]), inf)
    with localcontext(Context(prec=60, Emin=-99_999, Emax=99_999)):
        for xi, got in zip(x[finite].tolist(), actual[finite].tolist(), strict=True):
            exact = DECIMAL[name](Decimal(xi))
            error = abs(Decimal(got) - exact) / Decimal(math.ulp(float(exact)))
            assert error <= tolerance(name), (xi, got, exact)


SPECIAL = {  # results for
    "x": (nan, inf, -inf, 0.0, -0.0, -1.0, -2.0),
    "exp": (nan, inf, 0.0, 1.0, 1.0, None, None),
    "expm1": (nan, inf, -1.0, 0.0, -0.0, None, None),
    "log": (nan, inf, nan, -inf, -inf, nan, nan),
    "log1p": (nan, inf, nan, 0.0, -0.0, -inf, nan),
    "sinh": (nan, inf, -inf, 0.0, -0.0, None, None),
    "cosh": (nan, inf, inf, 1.0, 1.0, None, None),
    "tanh": (nan, 1.0, -1.0, 0.0, -0.0, None, None),
    "erf": (nan, 1.0, -1.0, 0.0, -0.0, None, None),
    "erfc": (nan, 0.0, 2.0, 1.0, 1.0, None, None),
}


@both_dtypes
@each_precise
def test_special_values(name, dtype):
    x, expected = zip(*((x, y) for x, y in zip(SPECIAL["x"], SPECIAL[name], strict=True) if y is not None), strict=True)
    actual = apply(name, np.array(x, dtype))
    np.testing.assert_array_equal(actual, np.array(expected, dtype))
    known = ~np.isnan(actual)
    np.testing.assert_array_equal(np.signbit(actual)[known], np.signbit(expected)[known])


@both_dtypes
@pytest.mark.parametrize("name", ["expm1", "log1p", "sinh", "tanh"])
def test_near_zero_is_the_argument(name, dtype):
    info = np.finfo(dtype)
    x = np.array([s * v for v in (info.smallest_subnormal, 3 * info.smallest_subnormal, info.tiny, info.eps / 8)
                  for s in (1, -1)], dtype)
    np.testing.assert_array_equal(apply(name, x), x)


@both_dtypes
@pytest.mark.parametrize(("name", "x", "y"), [("exp", 0, 1), ("log", 1, 0), ("cosh", 0, 1), ("erfc", 0, 1)])
def test_exact_values(name, x, y, dtype):
    assert apply(name, np.array([x], dtype))[0] == y


@settings(deadline=None)
@given(st.floats(width=32))
@each_precise
def test_any_float32(name, x):
    x = np.array([x], np.float32)
    actual = apply(name, x)
    with np.errstate(all="ignore"):
        exact = PRECISE[name](x.astype(np.float64))
        rounded = exact.astype(np.float32)
    if np.isfinite(rounded[0]):
        assert ulps(actual, exact, rounded)[0] <= tolerance(name)
    else:
        np.testing.assert_array_equal(actual, rounded)


@settings(deadline=None)
@given(st.floats(-100, 100), st.floats(-100, 100))
@pytest.mark.parametrize("name", ["exp", "tanh", "erf"])
def test_monotonic_within_the_error(name, x, y):
    low, high = apply(name, np.array(sorted((x, y))))
    assert low <= high + 4 * np.spacing(abs(high))


ORDINARY = {
    "acos": 0.3, "acosh": 1.3, "asin": 0.3, "asinh": 0.3, "atan": 0.3, "atan2": (0.3, -0.7), "atanh": 0.3, "ceil": 0.3,
    "copysign": (0.3, -0.7), "cos": 0.3, "degrees": 0.3, "exp2": 0.3, "fabs": -0.3, "floor": -0.3, "fmod": (7.3, 0.7),
    "gamma": 0.3, "hypot": (0.3, -0.7), "isfinite": 0.3, "isinf": 0.3, "isnan": 0.3, "lgamma": 0.3, "log10": 0.3,
    "log2": 0.3, "max": (0.3, -0.7), "min": (0.3, -0.7), "pow": (0.3, -0.7), "radians": 0.3, "sin": 0.3, "sqrt": 0.3,
    "tan": 0.3, "trunc": -0.3,
}


@functools.cache
def others(dtype):
    """One kernel for all the rest: out[i] is the i-th function of a[i], b[i]."""
    names = list(ORDINARY)
    scope = {twin(name, dtype): getattr(twins, twin(name, dtype)) for name in names}
    lines = [f"    out[{i}] = {twin(name, dtype)}(a[{i}]{f', b[{i}]' if isinstance(ORDINARY[name], tuple) else ''})"
             for i, name in enumerate(names)]
    exec("\n".join(["def kernel(a, b, out):", *lines]), scope)
    return njit(scope["kernel"], error_model="numpy", fastmath=FAST)


def test_every_name_is_tested():
    known = {name[:-4] for name in vars(twins) if name.endswith("_f32")}
    assert known == {*PRECISE, *ORDINARY}
    assert all(hasattr(twins, twin(name, dtype)) for name in known for dtype in DTYPES)
    assert all(hasattr(math, name) or hasattr(builtins, name) for name in known)


@both_dtypes
def test_others_agree_with_math(dtype):
    real = np.dtype(dtype).type
    arguments = [v if isinstance(v, tuple) else (v, 0.0) for v in ORDINARY.values()]
    a, b = np.array(arguments, dtype).T.copy()
    out = np.empty_like(a)
    others(dtype)(a, b, out)
    plain = {**vars(builtins), **vars(math)}
    expected = [plain[name](*map(float, (ai, bi) if isinstance(v, tuple) else (ai,)))
                for (name, v), ai, bi in zip(ORDINARY.items(), a, b, strict=True)]
    np.testing.assert_allclose(out, np.array(expected, dtype), rtol=16 * np.finfo(real).eps)


@both_dtypes
@pytest.mark.parametrize("name", ["floor", "ceil", "trunc"])
def test_rounding_returns_floats(name, dtype):
    x = np.array([-1.5, -0.5, 0.5, 2.5, 3e9, -3e9, 3e30, inf, nan], dtype)
    np.testing.assert_array_equal(apply(name, x), getattr(np, name)(x))
    assert np.signbit(apply("ceil", x[1:2]))[0]


@both_dtypes
@pytest.mark.parametrize("function", [max, min])
def test_max_and_min_are_those_of_python(function, dtype):
    """Also of numbers that can't be compared: the second one is taken only if it is larger, or smaller."""
    values = np.array([nan, inf, -inf, 0.0, -0.0, 1.0, -2.0], dtype)
    a, b = (part.ravel().copy() for part in np.meshgrid(values, values))
    out = np.empty_like(a)
    pairs(function.__name__, dtype)(a, b, out)
    expected = np.array([function(float(x), float(y)) for x, y in zip(a, b, strict=True)], dtype)
    np.testing.assert_array_equal(out, expected)
    known = ~np.isnan(out)
    np.testing.assert_array_equal(np.signbit(out)[known], np.signbit(expected)[known])


def masked(function):
    """Whether the loop of a running maximum stores by a mask."""
    scope = {"f": function}
    exec("def kernel(a, b):\n    for i in range(a.size):\n        a[i] = f(a[i], b[i])\n", scope)
    kernel = njit((float32[::1], float32[::1]), error_model="numpy")(scope["kernel"])
    return any("vmov" in line and "{%k" in line for line in kernel.inspect_asm(kernel.signatures[0]).splitlines())


@needs_compiler
@pytest.mark.compiled
@pytest.mark.skipif("avx512f" not in host.features(), reason="masked stores are AVX-512's")
def test_running_maximum_is_stored_whole():
    """Without a mask, for which some processors take ten times as long."""
    assert not masked(twins.max_f32)


@both_dtypes
def test_outside_the_domain(dtype):
    for name, x, expected in (("sqrt", -1, nan), ("log10", 0, -inf), ("acos", 2, nan), ("gamma", -1, nan),
                              ("gamma", 1000, inf), ("gamma", -0.0, -inf), ("lgamma", -1, inf)):
        np.testing.assert_array_equal(apply(name, np.array([x], dtype)), np.array([expected], dtype))


@both_dtypes
def test_arguments_become_the_dtype(dtype):
    function = getattr(twins, twin("exp", dtype))
    kernel = njit(lambda x: function(x))
    for x in (1, 1.0, np.float32(1), np.float64(1)):
        assert np.asarray(kernel(x)).dtype.kind == "f"
        assert float(kernel(x)) == apply("exp", np.ones(1, dtype))[0]


def test_names():
    assert (twin("exp", "float32"), twin("atan2", "float64")) == ("exp_f32", "atan2_f64")


def test_unknown_name():
    with pytest.raises(ValueError, match=r"'math\.expn1'; did you mean 'math\.expm1'\? Known: acos, .*trunc"):
        twin("expn1", "float32")
    with pytest.raises(ValueError, match=r"'math\.perm'\. Known"):
        twin("perm", "float32")


def test_unknown_dtype():
    with pytest.raises(ValueError, match=r"'float16'\. Known: float32, float64"):
        twin("exp", "float16")


@needs_compiler
@pytest.mark.compiled
@pytest.mark.parametrize("name", [*PRECISE, "sqrt", "fabs", "degrees", "isinf"])
def test_float32_loop_is_vector_code(name):
    apply(name, np.ones(1, np.float32))
    kernel = loop(name, "float32")
    llvm = kernel.inspect_llvm(kernel.signatures[0])
    assert "double" not in llvm
    assert re.search(r"<\d+ x float>", llvm)
    if name in PRECISE:
        assert not re.search(rf"@(llvm\.)?{name}f?[.(]", llvm)


@needs_compiler
@pytest.mark.compiled
@each_precise
def test_float64_loop_is_vector_code(name):
    apply(name, np.ones(1))
    kernel = loop(name, "float64")
    llvm = kernel.inspect_llvm(kernel.signatures[0])
    assert re.search(r"<\d+ x double>", llvm)
    assert not re.search(rf"@(llvm\.)?{name}[.(]", llvm)


@needs_compiler
@pytest.mark.compiled
def test_other_float32_functions_hold_no_double():
    a = np.ones(len(ORDINARY), np.float32)
    others("float32")(a, a, np.empty_like(a))
    assert "double" not in others("float32").inspect_llvm(others("float32").signatures[0])


@needs_compiler
@pytest.mark.compiled
def test_import_compiles_nothing():
    program = "import numbanet.math as m; print(any(getattr(f, 'overloads', None) for f in vars(m).values()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
