"""The functions of Python's ``math``, compiled to vector code.

A formula calls ``math.exp``; the code generator puts the twin for the kernel's dtype in its
place, a scalar function that is inlined and that LLVM vectorises: no call, no float64 in a
float32 kernel, no branch.

==============================  ====================================================================
functions                       in a compiled kernel
==============================  ====================================================================
exp, expm1, log, log1p, sinh,   SIMD, at most 2 ulp everywhere, subnormals included
cosh, tanh, erf
erfc                            SIMD, at most 4 ulp everywhere
sqrt, fabs, copysign, floor,    SIMD, exact; floor, ceil and trunc return a float, where Python
ceil, trunc                     returns an int
degrees, radians, isnan,        SIMD
isinf, isfinite
acos, acosh, asin, asinh,       one call of the C library an element, in the kernel's dtype
atan, atan2, atanh, cos, exp2,
fmod, gamma, hypot, lgamma,
log10, log2, pow, sin, tan
==============================  ====================================================================

Outside its domain a function returns what C's does, NaN or an infinity, and raises nothing. Under
``NUMBA_DISABLE_JIT=1`` the same functions run as plain Python on NumPy scalars.
"""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.extending import intrinsic

from numbanet._polynomials import FLOAT32, FLOAT64, Format

Function = Callable[..., Any]


def _inline(function: Function) -> Function:
    """Compile for inlining into a kernel; not cached, because the kernel is.

    A call left in a loop keeps it scalar, hence `forceinline`; so does a check for division by
    zero, hence the "numpy" error model. Of the fast-math flags only "contract" (fused
    multiply-add) is safe: "reassoc" cancels the terms that make a reduction exact, the others
    give up NaN, infinities or the sign of zero.
    """
    if config.DISABLE_JIT:
        return np.errstate(all="ignore")(function)
    return njit(function, error_model="numpy", fastmath={"contract"}, forceinline=True)


def _bit_operation(instruction: str, ufunc: np.ufunc) -> Function:
    """Integer operation of the first operand's width; a float stands for its bits."""

    def plain(a: Any, b: Any) -> Any:
        integer = np.dtype(f"i{a.itemsize}").type
        return ufunc(a.view(integer), integer(b) if isinstance(b, int) else b.view(integer))

    def typed(context: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            integer = ir.IntType(a.bitwidth)
            bits = [builder.trunc(v, integer) if isinstance(v.type, ir.IntType) and v.type.width > a.bitwidth
                    else builder.bitcast(v, integer) for v in args]
            return getattr(builder, instruction)(*bits)

        return types.Integer.from_bitwidth(a.bitwidth)(a, b), generate

    return plain if config.DISABLE_JIT else intrinsic(typed)


def _float_of_bits() -> Function:
    def plain(bits: Any) -> Any:
        return bits.view(f"f{bits.itemsize}")

    def typed(context: Any, bits: Any) -> Any:
        real = types.float32 if bits.bitwidth == 32 else types.float64

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], context.get_value_type(real))

        return real(bits), generate

    return plain if config.DISABLE_JIT else intrinsic(typed)


def _horner() -> Function:
    """Polynomial written out term by term: LLVM leaves a loop over more than a dozen standing."""

    def plain(x: Any, coefficients: Any) -> Any:
        return functools.reduce(lambda y, coefficient: y * x + coefficient, coefficients)

    def typed(context: Any, x: Any, coefficients: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            x, terms = args[0], [builder.extract_value(args[1], i) for i in range(len(coefficients))]
            return functools.reduce(lambda y, term: builder.fadd(builder.fmul(y, x), term), terms)

        return x(x, coefficients), generate

    return plain if config.DISABLE_JIT else intrinsic(typed)


_add = _bit_operation("add", np.add)
_sub = _bit_operation("sub", np.subtract)
_shl = _bit_operation("shl", np.left_shift)
_sar = _bit_operation("ashr", np.right_shift)
_float = _float_of_bits()
_polynomial = _horner()


@_inline
def _power_of_two(n, c):
    return _float(_add(_shl(n, c.mantissa), c.one))


@_inline
def _reduce(x, d, c):
    """Integer n (in the low bits of the first), r and expm1(r) - r with exp(x - d) = 2**n exp(r).

    |r| <= ln(2) / 2, from ln(2) in two parts (Cody & Waite 1980). Adding `magic` rounds to an
    integer and leaves it as bits, where a conversion would be undefined for NaN.
    """
    k = (x - d) * c.log2e + c.magic
    n = k - c.magic
    r = x - n * c.ln2_hi - d - n * c.ln2_lo
    return k, r, r * r * _polynomial(r, c.exp)


@_inline
def _scale(y, k, c):
    """y * 2**n in two steps: 2**n alone overflows where the product does not, and underflows."""
    n = _sub(k, c.magic)
    half = _sar(n, 1)
    return y * _power_of_two(half, c) * _power_of_two(_sub(n, half), c)


@_inline
def _exp(x, c):
    x = c.exp_min if x < c.exp_min else x
    x = c.exp_max if x > c.exp_max else x
    k, r, q = _reduce(x, c.zero, c)
    return _scale(c.one + (r + q), k, c)


@_inline
def _expm1_scaled(x, c):
    """y and s = 2**(n - 2) with expm1(x) = y s: s fits for every n, and y s is rounded once."""
    x = c.expm1_min if x < c.expm1_min else x
    x = c.exp_max if x > c.exp_max else x
    k, r, q = _reduce(x, c.zero, c)
    s = _power_of_two(_sub(k, c.magic + c.two), c)
    two_to_minus_n = c.quarter * _float(_sub(c.top, s))
    return c.four * (r + (c.one - two_to_minus_n) + q), s


@_inline
def _expm1(x, c):
    y, s = _expm1_scaled(x, c)
    return np.copysign(y * s, x)


@_inline
def _tanh(x, c):
    y, s = _expm1_scaled(-c.two * abs(x), c)
    t = y * s
    return np.copysign(t / (t + c.two), x)


@_inline
def _sinh(x, c):
    """(t + t / (t + 1)) / 2 with t = expm1(|x|), which may overflow where sinh does not."""
    y, s = _expm1_scaled(abs(x), c)
    y_half = c.half * y
    return np.copysign((y_half + y_half / (y * s + c.one)) * s, x)


@_inline
def _cosh(x, c):
    x = abs(x)
    x = c.exp_max if x > c.exp_max else x
    k, r, q = _reduce(x, c.zero, c)
    half_exp = c.two * (c.one + (r + q)) * _power_of_two(_sub(k, c.magic + c.two), c)
    return half_exp + c.quarter / half_exp


@_inline
def _split(x, c):
    """Integer k and m in [sqrt(1/2), sqrt(2)) with x = 2**k m, for normal x > 0."""
    k = _sar(_sub(x, c.sqrt_half), c.mantissa)
    return k, _float(_sub(x, _shl(k, c.mantissa)))


@_inline
def _log_reduced(k, f, c):
    """log(2**k (1 + f)) from s = f / (2 + f), as in fdlibm (Sun Microsystems 1993)."""
    s = f / (c.two + f)
    z = s * s
    half_square = c.half * f * f
    return k * c.ln2_hi - ((half_square - (s * (half_square + z * _polynomial(z, c.log)) + k * c.ln2_lo)) - f)


@_inline
def _log(x, c):
    subnormal = x < c.tiny
    k, m = _split(x * c.lift if subnormal else x, c)
    n = _float(_add(k, c.magic)) - (c.magic + c.lift_exponent if subnormal else c.magic)
    y = _log_reduced(n, m - c.one, c)
    y = y if x < c.inf else x
    y = -c.inf if x == c.zero else y
    return c.nan if x < c.zero else y


@_inline
def _log1p(x, c):
    """log(u + e), u = 1 + x rounded and e what the rounding lost (Knuth's TwoSum)."""
    u = c.one + x
    back = u - c.one
    e = (c.one - (u - back)) + (x - back)
    k, m = _split(u, c)
    n = _float(_add(k, c.magic)) - c.magic
    f = (m - c.one) + e * _float(_sub(c.one, _shl(k, c.mantissa)))
    y = np.copysign(_log_reduced(n, x if n == c.zero else f, c), x)
    y = y if x < c.inf else x
    y = -c.inf if x == -c.one else y
    return c.nan if x < -c.one else y


@_inline
def _erf_near(x, c):
    return x + x * _polynomial(x * x, c.erf)


@_inline
def _erf(x, c):
    """1 - exp(log(erfc(|x|))) away from 0, where a polynomial gives the logarithm."""
    t = abs(x)
    t = c.erf_max if t > c.erf_max else t
    k, r, q = _reduce(_polynomial(t, c.log_erfc), c.zero, c)
    far = c.one - (c.one + (r + q)) * _power_of_two(_sub(k, c.magic), c)
    return _erf_near(x, c) if t < c.erf_near else np.copysign(far, x)


@_inline
def _erfc(x, c):
    """exp(-t**2) erfcx(t), t = |x|; t**2 in two parts, as its rounding error is exp's relative one."""
    t = abs(x)
    t = c.erfc_max if t > c.erfc_max else t
    high = _float(_shl(_sar(t, c.low_bits), c.low_bits))
    k, r, q = _reduce(-high * high, (t - high) * (t + high), c)
    v = c.one / (t + c.erfcx_shift)
    erfcx = v * _polynomial(v - c.erfcx_centre, c.erfcx)
    far = _scale((c.one + (r + q)) * erfcx, k, c)
    return c.one - _erf_near(x, c) if t < c.half else c.two - far if x < c.zero else far


_FORMULAS = {
    "exp": _exp, "expm1": _expm1, "log": _log, "log1p": _log1p, "sinh": _sinh, "cosh": _cosh, "tanh": _tanh,
    "erf": _erf, "erfc": _erfc,
}
_UFUNCS = {
    "sqrt": np.sqrt, "fabs": np.fabs, "copysign": np.copysign, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc,
    "degrees": np.degrees, "radians": np.radians, "isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite,
    "acos": np.arccos, "acosh": np.arccosh, "asin": np.arcsin, "asinh": np.arcsinh, "atan": np.arctan,
    "atan2": np.arctan2, "atanh": np.arctanh, "cos": np.cos, "exp2": np.exp2, "fmod": np.fmod, "hypot": np.hypot,
    "log10": np.log10, "log2": np.log2, "pow": np.power, "sin": np.sin, "tan": np.tan,
}
_GAMMAS = {"gamma": math.gamma, "lgamma": math.lgamma}
_FORMATS = {"float32": ("f32", np.float32, FLOAT32), "float64": ("f64", np.float64, FLOAT64)}


def _without_exceptions(gamma: Function) -> Function:
    """`math.gamma` or `math.lgamma` with C's results where Python raises."""

    def c_gamma(x: Any) -> float:
        try:
            return gamma(x)
        except OverflowError:
            return math.inf
        except ValueError:
            return math.inf if gamma is math.lgamma else math.copysign(math.inf, x) if x == 0 else math.nan

    return c_gamma


def _twins(real: Any, c: Format) -> dict[str, Function]:
    """Function of every name, taking and returning `real`."""

    def from_formula(formula: Function) -> Function:
        return lambda x: formula(real(x), c)

    def from_ufunc(ufunc: np.ufunc) -> Function:
        if ufunc.nin == 2:
            return lambda x, y: ufunc(real(x), real(y))
        return lambda x: ufunc(real(x))

    def from_gamma(gamma: Function) -> Function:
        gamma = _without_exceptions(gamma) if config.DISABLE_JIT else gamma
        return lambda x: real(gamma(real(x)))

    return {name: make(function)
            for make, functions in ((from_formula, _FORMULAS), (from_ufunc, _UFUNCS), (from_gamma, _GAMMAS))
            for name, function in functions.items()}


for _suffix, _real, _constants in _FORMATS.values():
    for _name, _function in _twins(_real, _constants).items():
        # Numba names machine code after the function: no two may share a name.
        _function.__name__ = _function.__qualname__ = f"{_name}_{_suffix}"
        globals()[_function.__name__] = _inline(_function)


def __getattr__(name: str) -> Function:  # the twins' type, for type checkers
    raise AttributeError(f"module 'numbanet.math' has no attribute {name!r}")


def twin(name: str, dtype: str) -> str:
    """Name of the function of this module that stands for a function of `math` in a kernel.

    Parameters
    ----------
    name : str
        Name in `math`, such as "exp".
    dtype : {"float32", "float64"}
        Type of the argument and of the result.

    Returns
    -------
    str
        Name of a global of this module, such as "exp_f32".

    Raises
    ------
    ValueError
        If the function or the dtype is not supported.
    """
    if dtype not in _FORMATS:
        raise ValueError(f"unknown dtype {dtype!r}. Known: {', '.join(_FORMATS)}")
    known = sorted(_FORMULAS | _UFUNCS | _GAMMAS)
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean 'math.{close[0]}'?" if close else "."
        raise ValueError(f"a formula cannot call 'math.{name}'{hint} Known: {', '.join(known)}")
    return f"{name}_{_FORMATS[dtype][0]}"
