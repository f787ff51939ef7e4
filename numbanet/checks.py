"""Numbers and arrays of numbers that the user hands in: what they must be, and what to say otherwise."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

# Checks walk arrays in pieces of this many bytes: they stay in cache and need no array-sized mask.
CHUNK = 1 << 20


def whole_number(name: str, value: Any, minimum: int) -> int:
    """Whole number of at least `minimum`, as an int; 3.0 counts as 3, True doesn't.

    Raises
    ------
    TypeError
        If `value` is no number.
    ValueError
        If it isn't whole or is below `minimum`.
    """
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    try:
        number = operator.index(value)
    except TypeError:
        if not isinstance(value, (float, np.floating)):
            raise TypeError(f"{name} must be a whole number, got {value!r}") from None
        if not float(value).is_integer():
            raise ValueError(f"{name} must be a whole number, got {value!r}") from None
        number = int(value)
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value!r}")
    return number


def positive_int(name: str, value: Any) -> int:
    """Whole number of at least 1; errors as in `whole_number`."""
    return whole_number(name, value, 1)


def nonnegative_int(name: str, value: Any) -> int:
    """Whole number of at least 0; errors as in `whole_number`."""
    return whole_number(name, value, 0)


def finite_float(name: str, value: Any) -> float:
    """Finite number as a float.

    Raises
    ------
    TypeError
        If `value` is no number.
    ValueError
        If it is NaN or infinite.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:  # an int beyond the largest float
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {value!r}")
    return number


def positive_float(name: str, value: Any) -> float:
    """Finite number above 0; errors as in `finite_float`."""
    if not finite_float(name, value) > 0:
        raise ValueError(f"{name} must be positive, got {value!r}")
    return float(value)


def nonnegative_float(name: str, value: Any) -> float:
    """Finite number of at least 0; errors as in `finite_float`."""
    if not finite_float(name, value) >= 0:
        raise ValueError(f"{name} must not be negative, got {value!r}")
    return float(value)


def fraction(name: str, value: Any) -> float:
    """Number of at least 0 and below 1; errors as in `finite_float`."""
    if not 0 <= finite_float(name, value) < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, got {value!r}")
    return float(value)


def real_array(value: Any, name: str) -> np.ndarray:
    """Array of booleans, integers or real floats; no copy of an array.

    Parameters
    ----------
    value : array_like
        Lists, arrays, pandas.
    name : str
        What errors call it.

    Returns
    -------
    ndarray
        Of any shape and layout; values aren't looked at.

    Raises
    ------
    TypeError
        If it is sparse or isn't made of real numbers.
    ValueError
        If rows differ in length or values are masked.
    """
    if isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray):
        array = np.asarray(value)  # memmap and matrix become plain views
    elif hasattr(value, "iloc"):
        return _from_pandas(value, name)
    elif hasattr(value, "toarray"):
        raise TypeError(f"{name} is sparse ({type(value).__name__}); expected a dense array: pass {name}.toarray()")
    elif np.ma.is_masked(value):
        raise ValueError(f"{name} has masked values; expected complete data: fill or drop them")
    else:
        try:
            array = np.asarray(value)
        except ValueError:
            raise ValueError(f"{name} can't be read as an array; expected rows of equal length") from None
    kind = array.dtype.kind
    if kind in "biuf":
        return array
    if kind == "c":
        raise TypeError(f"{name} is complex (dtype {array.dtype}); expected real numbers: pass its real part, or real "
                        "and imaginary parts as two columns")
    if kind in "UST":
        raise TypeError(f"{name} holds strings (dtype {array.dtype}); expected numbers: numpy.unique({name}, "
                        "return_inverse=True) turns labels into integers")
    if array.ndim == 0:
        raise TypeError(f"{name} is {type(value).__name__}; expected an array of numbers")
    raise TypeError(f"{name} has dtype {array.dtype}; expected numbers: convert it with numpy.asarray({name}, float)")


def _from_pandas(value: Any, name: str) -> np.ndarray:
    """A column or a frame; columns of different numeric dtypes are no objects, and NA becomes NaN."""
    columns = value.dtypes.items() if hasattr(value, "columns") else [(value.name, value.dtype)]
    dtypes = []
    for label, dtype in columns:
        if dtype.kind not in "biuf":
            raise TypeError(f"{name}: column {label!r} has dtype {dtype}; expected numbers: drop or encode it")
        dtypes.append(dtype)
    if all(isinstance(dtype, np.dtype) and dtype == dtypes[0] for dtype in dtypes):
        return np.asarray(value)
    return np.asarray(value.to_numpy(dtype=np.float64, na_value=np.nan))


def first_not(values: np.ndarray, good: Callable[[np.ndarray], np.ndarray]) -> tuple[int, ...] | None:
    """Index of the first element of a C-contiguous array that isn't good."""
    # One row takes 0.5 us here, and 1.5 us by way of the loop and all().
    if values.nbytes <= CHUNK and np.count_nonzero(good(values)) == values.size:
        return None
    flat = values.reshape(-1)
    step = CHUNK // values.itemsize
    for start in range(0, flat.size, step):
        fine = good(flat[start:start + step])
        if not fine.all():
            return tuple(int(i) for i in np.unravel_index(start + int(fine.argmin()), values.shape))
    return None


def listed(value: Any, name: str, what: str) -> list[Any]:
    """Items of an iterable, which a single one of them is not."""
    try:
        return list(value)
    except TypeError:
        raise TypeError(f"{name} must be a list of {what}, got {value!r}") from None


def place_of(index: tuple[int, ...]) -> str:
    """Index of an element, in words."""
    words = ("row", "column") if len(index) <= 2 else ()
    return ", ".join(f"{w} {i}" for w, i in zip(words, index, strict=False)) if words else f"index {index}"


def not_finite(found: Any, name: str, where: tuple[int, ...]) -> ValueError:
    """The error that says where NaN or infinity was found."""
    what = "NaN" if np.isnan(found) else "infinity"
    return ValueError(f"{name} holds {what}, first at {place_of(where)} (counted from 0); expected finite numbers: "
                      "drop or fill such values")


def converted(array: np.ndarray, name: str, dtype: Any) -> np.ndarray:
    """C-contiguous, aligned, of dtype and finite."""
    values = array
    if array.dtype != dtype or not array.flags.c_contiguous or not array.flags.aligned:
        with np.errstate(over="ignore"):
            values = np.require(array, dtype, ("C", "A"))
    where = first_not(values, np.isfinite)
    if where is None:
        return values
    found = array[where]
    if np.isfinite(found):
        raise ValueError(f"{name} holds {found:.6g} at {place_of(where)}, too large for {values.dtype}; rescale it or "
                         "use dtype='float64'")
    raise not_finite(found, name, where)
