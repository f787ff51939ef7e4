"""The functions of Python's ``math``, compiled to vector code.

A formula calls ``math.exp``; the code generator puts the twin for the kernel's dtype in its
place, a scalar function that is inlined and that LLVM vectorises: no call, no float64 in a
float32 kernel, no branch.

==============================  ====================================================================
functions                       in a compiled kernel
==============================  ====================================================================
exp, expm1, log, log1p, sinh,   SIMD, at most 2 ulp everywhere, subnormals included
cosh, erf
tanh                            SIMD, at most 3 ulp everywhere, subnormals included
erfc                            SIMD, at most 4 ulp everywhere
sqrt, fabs, copysign, max, min, SIMD, exact; floor, ceil and trunc return a float, where Python
floor, ceil, trunc              returns an int
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
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import config

from numbanet._polynomials import (
    FLOAT32,
    FLOAT64,
    Format,
    add_bits,
    as_float,
    inline_cached,
    inline_private,
    larger,
    polynomial,
    shift_left,
    shift_right,
    smaller,
    subtract_bits,
)

_GAMMA: dict[str, Any] = {"gamma": math.gamma, "lgamma": math.lgamma}
if config.DISABLE_JIT:  # uncompiled, those raise exceptions
    from scipy import special

    _GAMMA = {"gamma": special.gamma, "lgamma": special.gammaln}


@inline_private
def _power_of_two(n, c):
    """2**n from the low bits of n; those of `magic` are 0, so magic + n will do as well."""
    return as_float(add_bits(shift_left(n, c.mantissa), c.one))


@inline_private
def _reduce(x, d, c):
    """Integer n, as the low bits of the first result, h and q with exp(x - d) = 2**n (1 + h + q).

    h + q is expm1(r), r = x - d - n ln(2) in +-ln(2) / 2, and h = x - n ln2_hi is exact (Cody &
    Waite 1980). Adding `magic` rounds to an integer and leaves it as bits, where a conversion
    would be undefined for NaN.
    """
    k = (x - d) * c.log2e + c.magic
    n = k - c.magic
    h = x - n * c.ln2_hi
    low = n * c.ln2_lo + d
    r = h - low
    return k, h, r * r * polynomial(r, c.exp) - low


@inline_private
def _scale(y, k, c):
    """y * 2**n in two steps: 2**n alone overflows where the product does not, and underflows."""
    n = subtract_bits(k, c.magic)
    half = shift_right(n, 1)
    return y * _power_of_two(half, c) * _power_of_two(subtract_bits(n, half), c)


@inline_private
def _exp(x, c):
    x = c.exp_min if x < c.exp_min else x
    x = c.exp_max if x > c.exp_max else x
    k, h, q = _reduce(x, c.zero, c)
    return _scale(c.one + (h + q), k, c)


@inline_private
def _expm1_scaled(x, c):
    """y and s = 2**(n - 2) with expm1(x) = y s: s fits for every n, and y s is rounded once."""
    x = c.expm1_min if x < c.expm1_min else x
    x = c.exp_max if x > c.exp_max else x
    k, h, q = _reduce(x, c.zero, c)
    s = _power_of_two(subtract_bits(k, c.magic + c.two), c)
    two_to_minus_n = c.quarter * as_float(subtract_bits(c.top, s))
    return c.four * (h + (c.one - two_to_minus_n) + q), s


@inline_private
def _expm1(x, c):
    y, s = _expm1_scaled(x, c)
    return np.copysign(y * s, x)


@inline_private
def _tanh(x, c):
    """t / (t + 2) with t = expm1(2 |x|).

    2 |x| is reduced in one step: where that is not exact, 2 / (t + 2) makes the error small.
    """
    y = c.two * abs(x)
    y = c.tanh_max if y > c.tanh_max else y
    k = y * c.log2e + c.magic
    r = y - (k - c.magic) * c.ln2
    s = _power_of_two(k, c)
    t = (r + r * r * polynomial(r, c.exp)) * s + (s - c.one)
    return np.copysign(t / (t + c.two), x)


@inline_private
def _sinh(x, c):
    """(t + t / (t + 1)) / 2 with t = expm1(|x|), below 1 as t - t**2 / (2 t + 2)."""
    y, s = _expm1_scaled(abs(x), c)
    t = y * s  # may overflow where sinh does not
    small = t < c.one
    y_half = c.half * y
    z = y_half * (-t if small else c.one) / (t + c.one)
    return np.copysign(((y if small else y_half) + z) * s, x)


@inline_private
def _cosh(x, c):
    x = abs(x)
    x = c.exp_max if x > c.exp_max else x
    k, h, q = _reduce(x, c.zero, c)
    half_exp = c.two * (c.one + (h + q)) * _power_of_two(subtract_bits(k, c.magic + c.two), c)
    return half_exp + c.quarter / half_exp


@inline_private
def _split(x, c):
    """Integer k and m in [sqrt(1/2), sqrt(2)) with x = 2**k m, for normal x > 0."""
    k = shift_right(subtract_bits(x, c.sqrt_half), c.mantissa)
    return k, as_float(subtract_bits(x, shift_left(k, c.mantissa)))


@inline_private
def _log_reduced(k, f, c):
    """log(2**k (1 + f)) from s = f / (2 + f), as in fdlibm (Sun Microsystems 1993)."""
    s = f / (c.two + f)
    z = s * s
    half_square = c.half * f * f
    return k * c.ln2_hi - ((half_square - (s * (half_square + z * polynomial(z, c.log)) + k * c.ln2_lo)) - f)


@inline_private
def _log(x, c):
    subnormal = x < c.tiny
    k, m = _split(x * c.lift if subnormal else x, c)
    n = as_float(add_bits(k, c.magic)) - (c.magic + c.lift_exponent if subnormal else c.magic)
    y = _log_reduced(n, m - c.one, c)
    y = y if x < c.inf else x
    y = -c.inf if x == c.zero else y
    return c.nan if x < c.zero else y


@inline_private
def _log1p(x, c):
    """log(u + e), u = 1 + x rounded and e what the rounding lost (Knuth's TwoSum)."""
    u = c.one + x
    back = u - c.one
    e = (c.one - (u - back)) + (x - back)
    k, m = _split(u, c)
    n = as_float(add_bits(k, c.magic)) - c.magic
    f = (m - c.one) + c.half * e * as_float(subtract_bits(c.two, shift_left(k, c.mantissa)))
    y = np.copysign(_log_reduced(n, x if n == c.zero else f, c), x)
    y = y if x < c.inf else x
    y = -c.inf if x == -c.one else y
    return c.nan if x < -c.one else y


@inline_private
def _erf_near(x, c):
    return x + x * polynomial(x * x, c.erf)


@inline_private
def _erf(x, c):
    """1 - exp(log(erfc(|x|))) away from 0, where a polynomial gives the logarithm."""
    t = abs(x)
    t = c.erf_max if t > c.erf_max else t
    k, h, q = _reduce(polynomial(t, c.log_erfc), c.zero, c)
    far = c.one - (c.one + (h + q)) * _power_of_two(k, c)
    return _erf_near(x, c) if t < c.erf_near else np.copysign(far, x)


@inline_private
def _erfc(x, c):
    """exp(-t**2) erfcx(t), t = |x|; t**2 in two parts, as its rounding error is exp's relative one."""
    t = abs(x)
    t = c.erfc_max if t > c.erfc_max else t
    high = as_float(shift_left(shift_right(t, c.low_bits), c.low_bits))
    k, h, q = _reduce(-high * high, (t - high) * (t + high), c)
    u = t + c.erfcx_shift
    v = c.one / u
    error = (u * v - c.one) + (t - (u - c.erfcx_shift)) * v  # relative, of v; erfcx magnifies it
    erfcx = v * polynomial(v - c.erfcx_centre - v * error, c.erfcx)
    far = _scale(erfcx + (h + (q - error)) * erfcx, k, c)
    return c.one - _erf_near(x, c) if t < c.erfc_near else c.two - far if x < c.zero else far


_FORMULAS = {
    "exp": _exp, "expm1": _expm1, "log": _log, "log1p": _log1p, "sinh": _sinh, "cosh": _cosh, "tanh": _tanh,
    "erf": _erf, "erfc": _erfc,
}
_UNARY = _GAMMA | {
    "sqrt": np.sqrt, "fabs": np.fabs, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "degrees": np.degrees,
    "radians": np.radians, "isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite, "acos": np.arccos,
    "acosh": np.arccosh, "asin": np.arcsin, "asinh": np.arcsinh, "atan": np.arctan, "atanh": np.arctanh, "cos": np.cos,
    "exp2": np.exp2, "log10": np.log10, "log2": np.log2, "sin": np.sin, "tan": np.tan,
}
_BINARY = {
    "atan2": np.arctan2, "copysign": np.copysign, "fmod": np.fmod, "hypot": np.hypot, "pow": np.power,
    "max": larger, "min": smaller,
}
_FORMATS = {"float32": ("f32", np.float32, FLOAT32), "float64": ("f64", np.float64, FLOAT64)}


def _twins(real: Any, c: Format) -> dict[str, Callable[..., Any]]:
    """Function of every name for arguments that are, or become, `real`."""

    def from_formula(function: Any) -> Callable[..., Any]:
        return lambda x: function(real(x), c)

    def from_unary(function: Any) -> Callable[..., Any]:
        return lambda x: function(real(x))

    def from_binary(function: Any) -> Callable[..., Any]:
        return lambda x, y: function(real(x), real(y))

    return {name: make(function)
            for make, functions in ((from_formula, _FORMULAS), (from_unary, _UNARY), (from_binary, _BINARY))
            for name, function in functions.items()}


for _suffix, _real, _constants in _FORMATS.values():
    for _name, _function in _twins(_real, _constants).items():
        # Numba names machine code after the function: no two may share a name.
        _function.__name__ = _function.__qualname__ = f"{_name}_{_suffix}"
        globals()[_function.__name__] = inline_cached(_function)


def twin(name: str, dtype: str) -> str:
    """Name of the function of this module that stands for a function of `math` in a kernel.

    Parameters
    ----------
    name : str
        Name in `math`, such as "exp", or "max" or "min".
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
    twins = _FORMULAS | _UNARY | _BINARY
    if name not in twins:
        known = sorted(name for name in twins if hasattr(math, name))
        close = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean 'math.{close[0]}'?" if close else "."
        raise ValueError(f"a formula cannot call 'math.{name}'{hint} Known: {', '.join(known)}")
    return f"{name}_{_FORMATS[dtype][0]}"
