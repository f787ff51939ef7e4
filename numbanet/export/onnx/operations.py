"""ONNX operations written one behind the other: names, constants, and no operation twice."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Operation:
    """One node of an ONNX graph with one output.

    Attributes
    ----------
    kind : str
        ONNX's name of the operator.
    inputs : tuple of str
        Names of values and constants.
    output : str
        Name of the value.
    attributes : dict of str to Any
        As `onnx.helper.make_node` takes them.
    name : str
        Layer, operator, and a number where there are several.
    """

    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Any] = field(compare=False)
    name: str


class Operations:
    """Operations and constants so far.

    Parameters
    ----------
    dtype : str
        "float32" or "float64": type of all values that are no indices or truth values.
    """

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self.nodes: list[Operation] = []
        self.constants: dict[str, np.ndarray] = {}
        self.scope = ""  # names the layer
        self._known: dict[Any, str] = {}
        self._counts: Counter[str] = Counter()

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Append an operation; returns the name of its value, also where it has been computed before."""
        key = kind, inputs, tuple(sorted(attributes.items()))
        if output is None and key in self._known:
            return self._known[key]
        name = f"{self.scope}/{kind}"
        self._counts[name] += 1
        name = f"{name}_{self._counts[name]}" if self._counts[name] > 1 else name
        self.nodes.append(Operation(kind, inputs, output or name, attributes, name))
        self._known[key] = self.nodes[-1].output
        return self.nodes[-1].output

    def constant(self, name: str, values: Any) -> str:
        """An array under a name of its own; floats become the working type."""
        array = np.asarray(values)
        self.constants[name] = array.astype(self.dtype) if array.dtype.kind == "f" else array
        return name

    def number(self, value: float) -> str:
        """A number of the working type."""
        value = float(self.dtype.type(value)) if math.isfinite(value) else float(value)
        key = "number", repr(value)
        if key not in self._known:
            self._known[key] = self.constant(f"number_{value!r}", np.array(value, self.dtype))
        return self._known[key]

    def integers(self, *values: int) -> str:
        """A list of whole numbers: axes, shapes."""
        key = "integers", values
        if key not in self._known:
            name = f"integers_{'_'.join(map(str, values))}"
            self._known[key] = self.constant(name, np.array(values, np.int64))
        return self._known[key]
