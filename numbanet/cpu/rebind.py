"""Kernels whose names stand for something else: what they are compiled for elsewhere."""

from __future__ import annotations

import re
import types
from collections.abc import Callable
from typing import Any

from numbanet import math as simd


def plain(function: Any) -> types.FunctionType:
    """What Numba, or NumPy's error state, has wrapped."""
    function = getattr(function, "py_func", function)
    return getattr(function, "__wrapped__", function)


def twin(value: Any) -> str | None:
    """Name in `math` of one of numbanet's SIMD functions, or "max" or "min"; None of anything else."""
    found = re.fullmatch(r"(\w+)_f(32|64)", str(getattr(value, "__name__", "")))
    return found[1] if found and getattr(simd, found[0], None) is value else None


def rebind(
    function: Any, replace: Callable[[Any], Any], finish: Callable[[Callable[..., Any]], Any], known: dict[Any, Any],
    *, every: bool = False,
) -> Any:  # fmt: skip
    """A kernel with other globals, in it and in the functions it calls.

    ``replace`` gives what stands for a value, or None to leave it or look into it; ``finish`` compiles: what has
    changed, or ``every`` function.
    """
    code = plain(function)
    if code not in known:
        known[code] = function
        names, changed = dict(code.__globals__), False
        for name in set(code.__code__.co_names) & set(names):
            value = names[name]
            other = replace(value)
            if other is None and (hasattr(value, "py_func") or isinstance(value, types.FunctionType)):
                other = rebind(value, replace, finish, known, every=every)
            if other is not None and other is not value:
                names[name], changed = other, True
        if changed or every:
            copy = types.FunctionType(code.__code__, names, code.__name__, code.__defaults__, code.__closure__)
            copy.__kwdefaults__ = code.__kwdefaults__
            known[code] = finish(copy)
    return known[code]
