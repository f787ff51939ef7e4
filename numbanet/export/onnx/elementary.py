"""Functions of `math` as ONNX has them, or as formulas of others that it has.

The formulas hold for all arguments that Python's functions take, infinity included, but for `erfc`, whose error is that
of 1: ONNX has `Erf` alone.
"""

import math
from collections.abc import Callable
from typing import Any

DIRECT = {
    "acos": "Acos", "acosh": "Acosh", "asin": "Asin", "asinh": "Asinh", "atan": "Atan", "atanh": "Atanh",
    "ceil": "Ceil", "cos": "Cos", "cosh": "Cosh", "erf": "Erf", "exp": "Exp", "fabs": "Abs", "floor": "Floor",
    "isinf": "IsInf", "isnan": "IsNaN", "log": "Log", "sin": "Sin", "sinh": "Sinh", "sqrt": "Sqrt", "tan": "Tan",
    "tanh": "Tanh",
}  # fmt: skip
TRUTHS = {"IsInf", "IsNaN"}


def copysign(x, y):
    return -abs(x) if y < 0 or (y == 0 and 1.0 / y < 0) else abs(x)


def degrees(x):
    return x * 57.29577951308232


def radians(x):
    return x * 0.017453292519943295


def erfc(x):
    return 1.0 - math.erf(x)


def exp2(x):
    return 2.0**x


def expm1(x):
    """2 t / (1 - t) with t = tanh(x / 2) keeps the digits near 0."""
    t = math.tanh(0.5 * x)
    return 2.0 * t / (1.0 - t) if abs(x) < 1 else math.exp(x) - 1.0


def hypot(x, y):
    """The larger times sqrt(1 + r^2), which does not overflow."""
    large = max(abs(x), abs(y))
    r = min(abs(x), abs(y)) / large
    return large * math.sqrt(1.0 + r * r) if 0 < large < math.inf else large


def isfinite(x):
    return abs(x) < math.inf


def log10(x):
    return math.log(x) * 0.4342944819032518


def log1p(x):
    """log(u) x / (u - 1) with u = 1 + x rounded (Kahan) keeps the digits near 0."""
    u = 1.0 + x
    return x if u == 1 else (math.log(u) if u == x else math.log(u) * (x / (u - 1.0)))


def log2(x):
    return math.log(x) * 1.4426950408889634


def trunc(x):
    return math.ceil(x) if x < 0 else math.floor(x)


def atan2(y, x):
    """atan(y / x) turned into the right quadrant."""
    both = abs(x) == math.inf and abs(y) == math.inf
    ratio = copysign(1.0, y) * copysign(1.0, x) if both else y / x
    angle = 0.0 * y if y == 0 else math.atan(ratio)
    left = angle + copysign(3.141592653589793, y)
    return left if copysign(1.0, x) < 0 else angle


FORMULAS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (atan2, copysign, degrees, erfc, exp2, expm1, hypot, isfinite, log10, log1p, log2, radians, trunc)
}
