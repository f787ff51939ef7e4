"""Constants of the functions in `numbanet.math`, for float32 and float64.

Polynomials have their highest power first. `log` is fdlibm's (Sun Microsystems, 1993); the others
are minimax fits (Remez, 200 bits), their coefficients rounded to the format from the lowest power
up and the rest fitted again after each. Their errors lie under a quarter of an ulp of the result.
"""

import math
from typing import Any, NamedTuple

import numpy as np


class Format(NamedTuple):
    """A floating-point format and the approximations made for it."""

    mantissa: int  # bits stored
    low_bits: int  # a number without these has an exact square
    zero: Any
    quarter: Any
    half: Any
    one: Any
    two: Any
    four: Any
    inf: Any
    nan: Any
    magic: Any  # magic + n holds the integer n in its low bits
    top: Any  # largest power of two; its bits are those of 1, doubled
    tiny: Any  # smallest normal number
    lift: Any  # 2**lift_exponent, makes subnormals normal
    lift_exponent: Any
    sqrt_half: Any
    log2e: Any
    ln2_hi: Any  # short enough for an exact product with an exponent
    ln2_lo: Any
    exp_min: Any  # exp is 0 from here down
    exp_max: Any  # exp, sinh and cosh are infinite from here up
    expm1_min: Any  # expm1 is -1 from here down
    erf_near: Any
    erf_max: Any  # erf is 1 from here up
    erfc_max: Any  # erfc is 0 from here up
    erfcx_shift: Any
    erfcx_centre: Any
    exp: tuple[Any, ...]  # (expm1(r) - r) / r**2, |r| <= ln(2) / 2
    log: tuple[Any, ...]  # (log((1 + s) / (1 - s)) / s - 2) / s**2 in s**2, |s| <= 0.1716
    erf: tuple[Any, ...]  # erf(x) / x - 1 in x**2, |x| <= erf_near
    log_erfc: tuple[Any, ...]  # log(erfc(t)), erf_near <= t <= erf_max, weighted by erfc(t)
    erfcx: tuple[Any, ...]  # exp(t**2) erfc(t) / v in v - centre, v = 1 / (t + shift), 0.5 <= t <= erfc_max


def _format(real: type, **values: Any) -> Format:
    shared = {"zero": 0.0, "quarter": 0.25, "half": 0.5, "one": 1.0, "two": 2.0, "four": 4.0,
              "inf": math.inf, "nan": math.nan, "sqrt_half": math.sqrt(0.5), "log2e": 1 / math.log(2), "erf_near": 0.875}

    def convert(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(real, value))
        return value if isinstance(value, int) else real(value)

    return Format(**{name: convert(value) for name, value in (shared | values).items()})


FLOAT32 = _format(
    np.float32, mantissa=23, low_bits=12, magic=1.5 * 2.0**23, top=2.0**127, tiny=2.0**-126, lift=2.0**25,
    lift_exponent=25.0, ln2_hi=6.9314575195e-01, ln2_lo=1.4286067653e-06, exp_min=-104.0, exp_max=89.5, expm1_min=-18.0,
    erf_max=4.0, erfc_max=10.2, erfcx_shift=2.0, erfcx_centre=0.24098360538482666,
    exp=(0.00019959325, 0.0013933692, 0.008333191, 0.041666478, 0.16666667, 0.5),
    log=(0.24279078841, 0.28498786688, 0.40000972152, 0.66666662693),
    erf=(8.693078e-05, -0.00082141417, 0.0052068634, -0.026861524, 0.11283728, -0.37612635, 0.12837917),
    log_erfc=(
        0.00020002226, -0.0030828603, 0.022383425, -0.10425341, -0.6368186, -1.1278899, -0.00014423073),
    erfcx=(
        -37.04287, -33.513145, 17.47074, 11.527635, -7.306639, -5.1913066, 2.5254216, 4.405828, 2.6685927, 0.9971616))

FLOAT64 = _format(
    np.float64, mantissa=52, low_bits=27, magic=1.5 * 2.0**52, top=2.0**1023, tiny=2.0**-1022, lift=2.0**54,
    lift_exponent=54.0, ln2_hi=6.93147180369123816490e-01, ln2_lo=1.90821492927058770002e-10, exp_min=-746.0,
    exp_max=710.6, expm1_min=-38.0, erf_max=6.0, erfc_max=27.5, erfcx_shift=2.0, erfcx_centre=0.21694914996623993,
    exp=(
        2.0919472058187627e-09, 2.510913422208757e-08, 2.755725927902628e-07, 2.755724389559635e-06,
        2.4801587340557976e-05, 0.00019841269886484387, 0.001388888888887746, 0.008333333333321463,
        0.04166666666666668, 0.16666666666666677, 0.5),
    log=(
        1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01, 2.222219843214978396e-01,
        2.857142874366239149e-01, 3.999999999940941908e-01, 6.666666666666735130e-01),
    erf=(
        -9.10907592270635e-10, 1.4317664506416106e-08, -1.6326534674930923e-07, 1.64606749166284e-06,
        -1.4925665723568035e-05, 0.00012055336995525718, -0.0008548327209489227, 0.005223977629894127,
        -0.026866170645726887, 0.11283791670959352, -0.37612638903183887, 0.1283791670955126),
    log_erfc=(
        1.4355957234374003e-12, -6.388995065687642e-11, 1.3316498125069123e-09, -1.7259921116618118e-08,
        1.5559706187375622e-07, -1.0315078298115214e-06, 5.16202085433218e-06, -1.951779910914699e-05,
        5.357754468233917e-05, -8.969906027506286e-05, -9.892717917583864e-06, 0.0005909152447263215,
        -0.0017118377458410089, 0.0002297817175033534, 0.019112469613493017, -0.10276434843163024,
        -0.6366225822945114, -1.128378592355834, -5.376789550540367e-08),
    erfcx=(
        -1366806.1675221284, 85244.18984666198, 469432.2612100117, -109930.72450907527, -65204.96000462189,
        37990.97724581663, -633.215206382141, -6997.222067136937, 2584.599310333174, 616.4331422395954,
        -777.0672420825726, 89.47877657374175, 166.33739535513425, -63.87528729380788, -32.74504342935432,
        24.1548600525728, 8.223600719877682, -8.745443318318678, -4.223770883517591, 2.979362945515804,
        4.206816771551473, 2.4614613909602245, 0.9355317692095951))
