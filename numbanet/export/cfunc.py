"""A network as a function that C code can call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import carray, cfunc, config, njit, types

from numbanet.export.compiled import to_njit

if TYPE_CHECKING:
    from scipy import LowLevelCallable

    from numbanet.model import Sequential

SIGNATURES = ("array", "integrand", "filter")


@dataclass(frozen=True)
class CFunction:
    """A network with its weights, behind an address; it lives as long as this object.

    Parameters
    ----------
    address : int
        For C code.
    ctypes : ctypes function
        For Python, and for what takes ctypes functions.
    keep : object
        What owns the code.
    """

    address: int
    ctypes: Any
    keep: Any

    @property
    def low_level_callable(self) -> LowLevelCallable:
        """For SciPy's integrators and filters; `ctypes` functions of the other signature mean nothing to them."""
        from scipy import LowLevelCallable

        return LowLevelCallable(self.ctypes)


def to_cfunc(model: Sequential, signature: str = "array", *, inputs: Any = None, outputs: Any = None) -> CFunction:
    """A C function with the weights that the model has now.

    Parameters
    ----------
    model : Sequential
        Built, with any layers.
    signature : {"array", "integrand", "filter"}
        ``void (const T *x, T *out)``, T being the model's type; ``double (int n, double *x, void *data)``
        for `scipy.integrate.quad` and `nquad`; or ``int (double *x, intptr_t n, double *out, void *data)``
        for `scipy.ndimage.generic_filter`. The last two are for models with one output.
    inputs, outputs : Scaling, (mean, scale) or fitted StandardScaler, optional
        As `to_njit` takes them.

    Returns
    -------
    CFunction
        Address, ctypes function and `scipy.LowLevelCallable`. C has no exceptions: a sample that is not
        finite, or of another size where C tells it, has NaN as its outputs.

    Raises
    ------
    ValueError
        If the signature is another, or wants one output and the model has more.
    RuntimeError
        If Numba compiles nothing (``NUMBA_DISABLE_JIT``).
    """
    if signature not in SIGNATURES:
        raise ValueError(f"signature must be one of {', '.join(SIGNATURES)}, got {signature!r}")
    if config.DISABLE_JIT:
        raise RuntimeError("a C function has to be compiled; unset NUMBA_DISABLE_JIT")
    compiled = to_njit(model, inputs=inputs, outputs=outputs)
    size, units = model.graph.input.size, model.graph.output.size
    if signature != "array" and units != 1:
        raise ValueError(f"signature {signature!r} is for models with one output; this one has {units}")
    predict, params = compiled.predict, compiled.parameters
    real = getattr(types, model.dtype)
    dtype = params.dtype

    vocabulary = model.graph.vocabulary

    @njit
    def run(x, result):
        """Predict, or give NaN; C has no exceptions."""
        sample, fine = np.empty(size, dtype), True  # in the model's type, which may make a number infinite
        for i in range(size):
            sample[i] = x[i]
            fine = fine and np.isfinite(sample[i])
            fine = fine and (vocabulary == 0 or (0 <= x[i] < vocabulary and x[i] == np.floor(x[i])))
        outputs = np.full(units, np.nan, dtype)
        if fine:
            predict(params, sample, outputs)
        for i in range(units):
            result[i] = outputs[i]

    def array(x, out):
        run(carray(x, size), carray(out, units))

    def integrand(n, x, data):
        result = np.full(1, np.nan)
        if n == size:
            run(carray(x, size), result)
        return result[0]

    def filter_(x, n, out, data):
        result = carray(out, 1)
        result[0] = np.nan
        if n == size:
            run(carray(x, size), result)
        return 1

    numbers, elements = types.CPointer(types.float64), types.CPointer(real)
    kinds = {
        "array": (array, types.void(elements, elements)),
        "integrand": (integrand, types.float64(types.intc, numbers, types.voidptr)),
        "filter": (filter_, types.intc(numbers, types.intp, numbers, types.voidptr)),
    }
    function, kind = kinds[signature]
    made = cfunc(kind)(function)
    return CFunction(made.address, made.ctypes, made)
