"""Activations that an ONNX graph has in several operations, found again.

The pattern of an activation is what `to_onnx` writes of its formula; some are as other programs write them. Constants
stand for parameters where the pattern has one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet import registry
from numbanet._source import FormulaError
from numbanet.export.onnx.activations import OPERATORS, write_formula
from numbanet.export.onnx.operations import Operation, Operations
from numbanet.export.onnx.source import Source, Step
from numbanet.spec import Activation

START = "x"
COMMUTATIVE = {"Add", "And", "Equal", "Max", "Min", "Mul", "Or"}
DEFAULTS = {"beta": 0.5}  # of HardSigmoid, which may leave it out
CLOSE = 1e-6  # relative: constants in a file may be float32
MOST = 400  # operations of a pattern


@dataclass(frozen=True)
class Pattern:
    """Operations of an activation.

    Attributes
    ----------
    activation : Activation
        With the default of each parameter.
    operations : tuple of Operation
        From `START` to ``output``.
    constants : dict of str to ndarray
        Numbers among their inputs.
    parameters : dict of str to str
        Which constants are parameters.
    output : str
        The activation's value.
    """

    activation: Activation
    operations: tuple[Operation, ...]
    constants: dict[str, np.ndarray]
    parameters: dict[str, str]
    output: str


def _silu(add: Callable[..., str], number: Callable[[float], str]) -> str:
    return add("Mul", START, add("Sigmoid", START))


def _mish(add: Callable[..., str], number: Callable[[float], str]) -> str:
    return add("Mul", START, add("Tanh", add("Softplus", START)))


def _gelu(add: Callable[..., str], number: Callable[[float], str]) -> str:
    erf = add("Erf", add("Div", START, number(1.4142135623730951)))
    return add("Mul", add("Mul", START, add("Add", erf, number(1.0))), number(0.5))


def _softplus(add: Callable[..., str], number: Callable[[float], str]) -> str:
    return add("Where", add("Greater", START, number(20.0)), START, add("Softplus", START))


def _hard_silu(add: Callable[..., str], number: Callable[[float], str]) -> str:
    return add("Mul", START, add("HardSigmoid", START, alpha=1 / 6, beta=0.5))


FOREIGN = {"silu": _silu, "mish": _mish, "gelu": _gelu, "softplus": _softplus, "hard_silu": _hard_silu}


def _pattern(activation: Activation, length: int) -> Pattern | None:
    operations = Operations("float64")
    try:
        output = write_formula(operations, activation, START, length)
    except FormulaError:  # it can't be in a graph
        return None
    parameters = {f".{activation.name}.{key}": key for key in activation.params}
    nodes = tuple(operations.nodes)
    if not 0 < len(nodes) <= MOST:
        return None
    return Pattern(activation, nodes, operations.constants, parameters, output)


def _foreign(name: str) -> Pattern:
    operations = Operations("float64")
    output = FOREIGN[name](operations.add, operations.number)
    return Pattern(registry.get("activation", name), tuple(operations.nodes), operations.constants, {}, output)


def patterns(further: Sequence[Activation], length: int) -> list[Pattern]:
    """Patterns of some activations and of all that have a name, long ones first.

    Parameters
    ----------
    further : sequence of Activation
        Those without a name.
    length : int
        Elements of a row, 0 where activations of rows are not looked for.

    Returns
    -------
    list of Pattern
        Numbanet's before those of plugins.
    """
    entries = [entry for kind, entry in registry.entries() if kind == "activation"]
    entries.sort(key=lambda entry: entry.distribution != registry.OURS)
    found = []
    for activation in [*further, *(entry.spec for entry in entries)]:
        assert isinstance(activation, Activation)
        if activation.name == "identity" or (activation.row and (not length or activation.forward in OPERATORS)):
            continue
        found.append(_pattern(activation, length if activation.row else 0))
    found += [_foreign(name) for name in FOREIGN]
    return sorted((p for p in found if p is not None), key=lambda p: -len(p.operations))


def match(pattern: Pattern, source: Source, start: str, among: set[Step]
          ) -> tuple[Activation, str, set[Step]] | None:
    """An activation with its parameters, its value and its nodes, if they begin at a value.

    All users of the value must be among the nodes, and nothing else may use what lies between.
    """
    first = source.users(start, among)
    kinds = {o.kind for o in pattern.operations}
    if not first or not all(step.kind in kinds for step in first):
        return None
    search = _Search(pattern, source, among)
    if not search.go(0, {START: start}, [], {}):
        return None
    steps = set(search.steps)
    output = search.names[pattern.output]
    if not set(first) <= steps:
        return None
    for step in steps:
        if step.outputs[0] != output and not set(source.users(step.outputs[0])) <= steps:
            return None
        if step.outputs[0] == source.output != output:
            return None
    try:
        return pattern.activation.with_params(**search.parameters), output, steps
    except ValueError:  # out of its bounds
        return None


class _Search:
    def __init__(self, pattern: Pattern, source: Source, among: set[Step]) -> None:
        self.pattern, self.source, self.among = pattern, source, among

    def go(self, index: int, names: dict[str, str], steps: list[Step], parameters: dict[str, float]) -> bool:
        """Find nodes for the operations from one on."""
        if index == len(self.pattern.operations):
            self.names, self.steps, self.parameters = names, steps, parameters
            return True
        operation = self.pattern.operations[index]
        known = [names[i] for i in operation.inputs if i in names]
        moving = [name for name in known if not self.source.is_constant(name)]
        candidates = self.source.users(moving[0], self.among) if moving else self.source.steps
        for step in candidates:
            if step.kind != operation.kind or step in steps or not _same(step, operation):
                continue
            turns = [step.inputs] + ([step.inputs[::-1]] if operation.kind in COMMUTATIVE else [])
            for inputs in turns:
                bound = dict(parameters)
                if self.fits(operation, inputs, names, bound) and self.go(
                    index + 1, {**names, operation.output: step.outputs[0]}, [*steps, step], bound
                ):
                    return True
        return False

    def fits(self, operation: Operation, inputs: list[str], names: dict[str, str], bound: dict[str, float]) -> bool:
        if len(inputs) != len(operation.inputs):
            return False
        for wanted, found in zip(operation.inputs, inputs, strict=True):
            if wanted in names:
                if names[wanted] != found:
                    return False
                continue
            if wanted == START or not self.source.is_constant(found):
                return False
            maker = self.source.maker.get(found)
            if maker is not None and maker.kind != "Constant":
                return False
            values, expected = self.source.constant(found), self.pattern.constants[wanted]
            if wanted in self.pattern.parameters:
                if values.size != 1:
                    return False
                key, value = self.pattern.parameters[wanted], shortest(values)
                if bound.setdefault(key, value) != value:
                    return False
            elif values.size != expected.size or not np.allclose(values.ravel(), expected.ravel(), rtol=CLOSE, atol=0):
                return False
        return True


def shortest(values: np.ndarray) -> float:
    """A number, without the digits that float32 does not have."""
    return float(str(values.reshape(-1)[0]))


def _same(step: Step, operation: Operation) -> bool:
    for key, wanted in operation.attributes.items():
        found: Any = step.attributes.get(key, DEFAULTS.get(key))
        if key == "to":  # the working type
            continue
        if isinstance(wanted, tuple):
            wanted = list(wanted)
        if not (np.isclose(found, wanted, rtol=CLOSE) if isinstance(wanted, float) and found is not None
                else found == wanted):
            return False
    return True
