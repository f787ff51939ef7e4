"""What was found, as a formula: to be read, and to be compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numbanet.classic.gmdh.kernel import evaluate
from numbanet.classic.gmdh.selection import Layer


class Polynomial:
    """The best polynomial of the last layer, and those that it is made of.

    Parameters
    ----------
    layers : list of Layer
        As they were grown.
    mean, scale : ndarray of shape (k,)
        By which inputs are brought to mean 0 and variance 1.
    offset, factor : float
        By which the result is brought to the units of the target.
    names : sequence of str
        Of the inputs.

    Attributes
    ----------
    steps : list of (str, str, str, ndarray)
        For each polynomial its name, the two names it reads, and its six coefficients; the last is the result.
    """

    def __init__(
        self, layers: list[Layer], mean: np.ndarray, scale: np.ndarray, offset: float, factor: float,
        names: Sequence[str],
    ) -> None:  # fmt: skip
        self.mean, self.scale, self.offset, self.factor, self.names = mean, scale, offset, factor, list(names)
        wanted, found = {0}, []
        for depth in range(len(layers), 0, -1):
            layer, before = layers[depth - 1], set()
            for i in sorted(wanted):
                a, b = layer.pairs[i]
                reads = self._name(depth - 1, a), self._name(depth - 1, b)
                found.append((f"z{depth}_{i}", *reads, layer.coefficients[i]))
                before |= {int(a), int(b)}
            wanted = before
        self.inputs = sorted(wanted)
        self.steps = found[::-1]

    def _name(self, depth: int, i: int) -> str:
        return f"z{depth}_{i}" if depth else f"u{i}"

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Values for samples of shape (n, k)."""
        known = {f"u{i}": (samples[:, i] - self.mean[i]) / self.scale[i] for i in self.inputs}
        for name, a, b, c in self.steps:
            known[name] = evaluate(known[a], known[b], c)
        return self.offset + self.factor * known[self.steps[-1][0]]

    def lines(self, write: Callable[[float], str], names: Sequence[str], square: str, times: str) -> list[str]:
        """Assignments, one a line, of which the last is to ``y``."""
        lines = [f"u{i} = ({names[i]} - {write(self.mean[i])}) / {write(self.scale[i])}" for i in self.inputs]
        for name, a, b, c in self.steps:
            terms = ("", a, b, square.format(a), square.format(b), f"{a}{times}{b}")
            parts = [write(v) + (times + t if t else "") for v, t in zip(c, terms, strict=True) if v != 0]
            lines.append(f"{name} = {' + '.join(parts) or '0.0'}".replace("+ -", "- "))
        last = self.steps[-1][0]
        return [*lines, f"y = {write(self.offset)} + {write(self.factor)}{times}{last}"]

    def __str__(self) -> str:
        return "\n".join(self.lines(lambda v: f"{v:.6g}", self.names, "{}²", " ")).replace("- -", "+ ")

    def source(self, name: str = "predict") -> str:
        """A function of one sample, in Python."""
        body = self.lines(lambda v: repr(float(v)), [f"x[{i}]" for i in range(len(self.mean))], "{0} * {0}", " * ")
        return "\n    ".join([f"def {name}(x):", *body, "return y"]) + "\n"

    def to_njit(self) -> Any:
        """`source`, compiled."""
        import numba

        space: dict[str, Any] = {}
        exec(compile(self.source(), "<polynomial>", "exec"), space)
        return numba.njit(error_model="numpy")(space["predict"])
