"""Derivatives of the functions that a formula may call, as formulas."""

import math
from collections.abc import Callable
from typing import Any

# Of x and z, the arguments, and y, the value; None where the derivative is 0 wherever it exists.
RULES: dict[str, tuple[str | None, ...]] = {
    "acos": ("-1.0 / math.sqrt((1.0 - x) * (1.0 + x))",),
    "acosh": ("1.0 / (math.sqrt(x - 1.0) * math.sqrt(x + 1.0))",),  # x * x may overflow
    "asin": ("1.0 / math.sqrt((1.0 - x) * (1.0 + x))",),
    "asinh": ("1.0 / math.hypot(1.0, x)",),
    "atan": ("1.0 / (1.0 + x * x)",),
    "atan2": ("atan2_slope(x, z)", "-atan2_slope(z, x)"),
    "atanh": ("1.0 / ((1.0 - x) * (1.0 + x))",),
    "ceil": (None,),
    "copysign": ("math.copysign(1.0, x) * math.copysign(1.0, z)", None),
    "cos": ("-math.sin(x)",),
    "cosh": ("math.sinh(x)",),
    "degrees": ("57.29577951308232",),
    "erf": ("1.1283791670955126 * math.exp(-x * x)",),
    "erfc": ("-1.1283791670955126 * math.exp(-x * x)",),
    "exp": ("y",),
    "exp2": ("0.6931471805599453 * y",),
    "expm1": ("y + 1.0",),  # absolute, not relative, precision far below 0, and no second exponential
    "fabs": ("sign(x)",),
    "floor": (None,),
    "fmod": ("1.0", "-math.trunc(x / z)"),
    "gamma": ("y * digamma(x)",),
    "hypot": ("x / y if y != 0.0 else 0.0", "z / y if y != 0.0 else 0.0"),
    "isfinite": (None,),
    "isinf": (None,),
    "isnan": (None,),
    "lgamma": ("digamma(x)",),
    "log": ("1.0 / x",),
    "log10": ("0.4342944819032518 / x",),
    "log1p": ("1.0 / (1.0 + x)",),
    "log2": ("1.4426950408889634 / x",),
    "pow": ("power_slope(x, z)", "exponent_slope(x, z, y)"),
    "radians": ("0.017453292519943295",),
    "sin": ("math.cos(x)",),
    "sinh": ("math.cosh(x)",),
    "sqrt": ("0.5 / y",),
    "tan": ("1.0 + y * y",),
    "tanh": ("1.0 - y * y",),
    "trunc": (None,),
}


def sign(x):
    """-1, 0 or 1; NaN stays NaN."""
    return 1.0 if x > 0 else (-1.0 if x < 0 else x)


def power_slope(x, z):
    """d/dx of x**z."""
    return z * x ** (z - 1.0) if z != 0 else 0.0


def exponent_slope(x, z, y):
    """d/dz of y = x**z; 0 at x = 0, which stays 0 for every z above 0."""
    return y * math.log(x) if x > 0 else (0.0 if x == 0 else math.nan)


def atan2_slope(x, z):
    """d/dx of atan2(x, z), z / (x**2 + z**2) without the squares, which may overflow."""
    r = math.hypot(x, z)
    return z / r / r


def digamma(x):
    """Derivative of lgamma: reflection, recurrence up to 10, asymptotic series (Abramowitz & Stegun 6.3.7, 5, 18)."""
    z = 1.0 - x if x < 0.5 else x
    below = 0.0
    for _ in range(10):
        below += 1.0 / z if z < 10 else 0.0
        z += 1.0 if z < 10 else 0.0
    s = 1.0 / (z * z)
    series = 1.0 / 132 - s * (691.0 / 32760 - s / 12.0)
    series = s * (1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s * (1.0 / 240 - s * series))))
    value = math.log(z) - 0.5 / z - series - below
    return value - math.pi / math.tan(math.pi * (x - math.floor(x + 0.5))) if x < 0.5 else value


HELPERS: dict[str, Callable[..., Any]] = {f.__name__: f for f in (sign, power_slope, exponent_slope, atan2_slope,
                                                                   digamma)}
