"""What the functions in `numbanet.math` are made of: bits, choices, polynomials and their constants.

Polynomials have their highest power first. `log` is fdlibm's (Sun Microsystems, 1993); the others
are minimax fits (Remez, 200 bits), their coefficients rounded to the format from the lowest power
up and the rest fitted again after each. Their errors lie under a quarter of an ulp of the result.
"""

import contextlib
import functools
import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

Function = Callable[..., Any]


def inline(function: Function, **options: Any) -> Function:
    """Compile for inlining into a kernel.

    A call left in a loop keeps it scalar, hence `forceinline`; so does a check for division by
    zero, hence the "numpy" error model. Of the fast-math flags only "contract" (fused
    multiply-add) is safe: "reassoc" cancels the terms that make a reduction exact, the others
    give up NaN, infinities or the sign of zero.
    """
    if config.DISABLE_JIT:
        return np.errstate(all="ignore")(function)
    return njit(function, error_model="numpy", fastmath={"contract"}, forceinline=True, **options)


# Called from compiled code only: without entry points for Python and C it compiles three times faster.
inline_private = functools.partial(inline, no_cpython_wrapper=True, no_cfunc_wrapper=True)


@functools.cache
def _fingerprint() -> str:
    """Hash of all that a function of `numbanet.math` is made of."""
    sources = [Path(__file__).with_name(name).read_bytes() for name in ("math.py", "_polynomials.py")]
    return hashlib.sha256(b"".join([*sources, str(config.BOUNDSCHECK).encode()])).hexdigest()


class _Cache(FunctionCache):
    """Numba's own key would hold the dispatchers that a function closes over, which no process makes twice."""

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return sig, codegen.magic_tuple(), self._py_func.__name__, _fingerprint()


def inline_cached(function: Function) -> Function:
    """Compile for inlining, or load: such functions are most of what a new formula would compile."""
    dispatcher: Any = inline(function)
    if not config.DISABLE_JIT:
        with contextlib.suppress(RuntimeError):  # no folder can be written: compile anew in each process
            dispatcher._cache = _Cache(function)
    return dispatcher


def _intrinsic(plain: Function) -> Function:
    """Decorate the LLVM form of an operation; `plain` stands for it where nothing is compiled."""
    return lambda typed: plain if config.DISABLE_JIT else intrinsic(typed)


def _bit_operation(instruction: str, ufunc: np.ufunc) -> Function:
    """Integer operation of the first operand's width; a float stands for its bits."""

    def plain(a: Any, b: Any) -> Any:
        integer = np.dtype(f"i{a.itemsize}").type
        return ufunc(a.view(integer), integer(b) if isinstance(b, int) else b.view(integer))

    @_intrinsic(plain)
    def operation(context: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            integer = ir.IntType(a.bitwidth)
            count = isinstance(signature.args[1], types.Integer) and signature.args[1].bitwidth > a.bitwidth
            left, right = builder.bitcast(args[0], integer), args[1]
            right = builder.trunc(right, integer) if count else builder.bitcast(right, integer)
            return getattr(builder, instruction)(left, right)

        return types.Integer.from_bitwidth(a.bitwidth)(a, b), generate

    return operation


add_bits = _bit_operation("add", np.add)
subtract_bits = _bit_operation("sub", np.subtract)
shift_left = _bit_operation("shl", np.left_shift)
shift_right = _bit_operation("ashr", np.right_shift)


def _frozen(builder: ir.IRBuilder, value: Any) -> Any:
    """The value, hidden from the rule by which a running maximum's store becomes masked, which is slow.

    llvmlite's builder has no method for this instruction.
    """
    instruction = ir.Instruction(builder.block, value.type, "freeze", [value])
    builder._insert(instruction)
    return instruction


def _chosen(comparison: str, plain: Function) -> Function:
    """The second number if it compares so with the first, else the first: no branch."""

    @_intrinsic(plain)
    def choose(context: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            a, b = (_frozen(builder, value) for value in args)
            return builder.select(builder.fcmp_ordered(comparison, b, a), b, a)

        return a(a, a), generate

    return choose


larger = _chosen(">", max)
smaller = _chosen("<", min)


@_intrinsic(lambda bits: bits.view(f"f{bits.itemsize}"))
def as_float(context: Any, bits: Any) -> Any:
    """Float of the given bits."""
    real = types.float32 if bits.bitwidth == 32 else types.float64
    return real(bits), lambda context, builder, signature, args: builder.bitcast(args[0], context.get_value_type(real))


@_intrinsic(lambda x, coefficients: functools.reduce(lambda y, a: y * x + a, coefficients))
def polynomial(context: Any, x: Any, coefficients: Any) -> Any:
    """Horner's rule, written out: LLVM does not unroll a loop over more than a dozen coefficients."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        terms = [builder.extract_value(args[1], i) for i in range(len(coefficients))]
        return functools.reduce(lambda y, a: builder.fadd(builder.fmul(y, args[0]), a), terms)

    return x(x, coefficients), generate


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
    ln2: Any
    ln2_hi: Any  # short enough for an exact product with an exponent
    ln2_lo: Any
    exp_min: Any  # exp is 0 from here down
    exp_max: Any  # exp, sinh and cosh are infinite from here up
    expm1_min: Any  # expm1 is -1 from here down
    tanh_max: Any  # tanh is 1 from half of this up
    erf_near: Any
    erfc_near: Any
    erf_max: Any  # erf is 1 from here up
    erfc_max: Any  # erfc is 0 from here up
    erfcx_shift: Any
    erfcx_centre: Any
    exp: tuple[Any, ...]  # (expm1(r) - r) / r**2, |r| <= ln(2) / 2
    log: tuple[Any, ...]  # (log((1 + s) / (1 - s)) / s - 2) / s**2 in s**2, |s| <= 0.1716
    erf: tuple[Any, ...]  # erf(x) / x - 1 in x**2, |x| <= erf_near
    log_erfc: tuple[Any, ...]  # log(erfc(t)), erf_near <= t <= erf_max, weighted by erfc(t)
    erfcx: tuple[Any, ...]  # exp(t**2) erfc(t) / v in v - centre, v = 1 / (t + shift), erfc_near <= t <= erfc_max


def _format(real: type, **values: Any) -> Format:
    shared = {"zero": 0.0, "quarter": 0.25, "half": 0.5, "one": 1.0, "two": 2.0, "four": 4.0,
              "inf": math.inf, "nan": math.nan, "sqrt_half": math.sqrt(0.5), "ln2": math.log(2),
              "log2e": 1 / math.log(2), "erf_near": 0.875, "erfc_near": 0.8}

    def convert(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(real, value))
        return value if isinstance(value, int) else real(value)

    return Format(**{name: convert(value) for name, value in (shared | values).items()})


FLOAT32 = _format(
    np.float32, mantissa=23, low_bits=12, magic=1.5 * 2.0**23, top=2.0**127, tiny=2.0**-126, lift=2.0**25,
    lift_exponent=25.0, ln2_hi=6.9314575195e-01, ln2_lo=1.4286067653e-06, exp_min=-104.0, exp_max=89.5, expm1_min=-18.0,
    tanh_max=20.0, erf_max=4.0, erfc_max=10.2, erfcx_shift=2.0, erfcx_centre=0.22636252641677856,
    exp=(0.00019959325, 0.0013933692, 0.008333191, 0.041666478, 0.16666667, 0.5),
    log=(0.24279078841, 0.28498786688, 0.40000972152, 0.66666662693),
    erf=(8.693078e-05, -0.00082141417, 0.0052068634, -0.026861524, 0.11283728, -0.37612635, 0.12837917),
    log_erfc=(
        0.00020002226, -0.0030828603, 0.022383425, -0.10425341, -0.6368186, -1.1278899, -0.00014423073),
    erfcx=(
        -69.63119, -31.351896, 22.444265, 9.650247, -8.251486, -4.623376, 2.8127975, 4.288636, 2.5414395, 0.95907766))

FLOAT64 = _format(
    np.float64, mantissa=52, low_bits=27, magic=1.5 * 2.0**52, top=2.0**1023, tiny=2.0**-1022, lift=2.0**54,
    lift_exponent=54.0, ln2_hi=6.93147180369123816490e-01, ln2_lo=1.90821492927058770002e-10, exp_min=-746.0,
    exp_max=710.6, expm1_min=-38.0, tanh_max=40.0, erf_max=6.0, erfc_max=27.5, erfcx_shift=2.0,
    erfcx_centre=0.2028239667415619,
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
        993456.1558965766, 237895.08913254406, -295705.6338485506, -12885.27304938268, 52855.869848107046,
        -11451.871452692469, -5804.935887446576, 3971.8829072417902, -34.21508594079666, -834.5136863502917,
        227.73334069744965, 141.81895375195208, -85.89246463453482, -23.188638043015214, 27.341571571184776,
        5.668808021434418, -9.336370820204827, -3.583973314657907, 3.200131232488237, 4.075759336475655,
        2.3444464580043713, 0.9015939637093611))
