"""The derivative of a plugin: derived, or given and compared with the derived one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from numbanet._source import FormulaError
from numbanet.derive.statements import derive

# Away from where kinks are likely.
POINTS = (-7.31, -2.417, -0.683, -0.1271, 0.0913, 0.5712, 1.373, 3.193, 8.717)
TOLERANCE = 1e-3  # passes constants that are written with four digits


class Primal(NamedTuple):
    """What is differentiated: the formula's name, the formula, names and values of its first arguments."""

    name: str
    formula: Callable[..., Any]
    result: bool
    arguments: tuple[str, ...]
    points: tuple[tuple[float, ...], ...]


class Differentiable:
    """Plugin with a scalar formula that has a derivative."""

    name: str
    params: Mapping[str, float]
    derivative: Callable[..., Any] | None
    surrogate: bool = False

    def _check_surrogate(self) -> None:
        if self.surrogate and self.derivative is None:
            raise TypeError(f"{type(self).__name__} '{self.name}': a surrogate needs derivative=")

    def _primal(self) -> Primal | None:
        """What the derivative is of; None where formulas of rows hold it, or nothing has one."""
        raise NotImplementedError

    @property
    def derived(self) -> bool:
        """Whether the derivative is derived from the formula, not given."""
        return self.derivative is None and self._primal() is not None

    @property
    def slope(self) -> Callable[..., Any] | None:
        """The derivative as a formula: what was given, once it has been checked, or else derived.

        Raises
        ------
        FormulaError
            If the formula can't be differentiated.
        ValueError
            If the derivative given is not that of the formula.
        """
        primal = self._primal()
        if primal is None:
            return self.derivative
        if self.derivative is None:
            return derive(primal.formula, primal.result)
        if not self.surrogate:
            _check(f"{type(self).__name__} '{self.name}'", primal, self.derivative, tuple(self.params.items()))
        return self.derivative


@lru_cache(maxsize=256)
def _check(
    owner: str, primal: Primal, given: Callable[..., Any], params: tuple[tuple[str, float], ...]
) -> None:
    """Compare a derivative with the derived one, both as plain Python, where both are finite."""
    try:
        derived = derive(primal.formula, primal.result)
    except FormulaError:  # nothing to compare with: that is what a derivative is given for
        return
    values = [value for _, value in params]
    for point in primal.points:
        try:
            y = [primal.formula(*point, *values)] if primal.result else []
            actual, expected = (float(f(point[0], *y, *point[1:], *values)) for f in (given, derived))
        except (ArithmeticError, TypeError, ValueError):  # outside the formula's domain Python raises
            continue
        if not math.isfinite(actual - expected):
            continue
        if abs(actual - expected) > TOLERANCE * max(abs(actual), abs(expected), TOLERANCE):
            place = ", ".join(f"{k} = {v:g}" for k, v in [*zip(primal.arguments, point, strict=True), *params])
            raise ValueError(
                f"{owner}: derivative gives {actual:.6g} at {place}, where the derivative of {primal.name} is "
                f"{expected:.6g}; correct it, or leave derivative= out to have it derived")
