"""What names of a formula stand for while ONNX operations are written, and arithmetic with it.

What is a number when the model is written stays one.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from numbanet._source import Reader
from numbanet.export.onnx.operations import Operations

MOST_DEEP = 50  # formulas that call formulas


@dataclass(frozen=True)
class Tensor:
    """A value of the ONNX graph.

    Attributes
    ----------
    name : str
        Its name there.
    truth : bool
        Whether it is of truth values.
    row : bool
        In a row formula, whether it has an element for each of a row's.
    """

    name: str
    truth: bool = False
    row: bool = False


Operand = float | bool | Tensor
Names = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A sample's whole row; no tensor where nothing has been written to it yet."""

    tensor: str | None


class Operands(Reader):
    """A formula whose values are operands.

    Parameters
    ----------
    operations : Operations
        Where they are written.
    function : callable
        The formula.
    length : int
        Elements of a row, in a row formula.
    depth : int
        How many formulas call this one.
    """

    def __init__(
        self, operations: Operations, function: Callable[..., Any], length: int = 0, depth: int = 0
    ) -> None:
        super().__init__(function)
        self.operations, self.length, self.depth = operations, length, depth
        self.index: tuple[str, range] | None = None  # of the loop that is written as operations on rows
        if depth > MOST_DEEP:
            raise self.error(self.node, "calls itself, which ONNX operations can't express")

    def apply(self, function: Callable[..., Any], arguments: list[Operand]) -> Operand:
        """Another formula's value."""
        raise NotImplementedError

    # -- operations ---------------------------------------------------------------------

    def write(self, kind: str, *operands: Operand, truth: bool = False, **attributes: Any) -> Tensor:
        names = [self.name(operand) for operand in operands]
        row = any(isinstance(operand, Tensor) and operand.row for operand in operands)
        return Tensor(self.operations.add(kind, *names, **attributes), truth, row)

    def name(self, operand: Operand) -> str:
        if isinstance(operand, Tensor):
            return operand.name
        if isinstance(operand, bool):
            return self.operations.constant(f"truth_{operand}", np.array(operand))
        return self.operations.number(operand)

    def number(self, operand: Operand) -> Operand:
        """Truth as 1 or 0."""
        if isinstance(operand, Tensor):
            if not operand.truth:
                return operand
            to = 11 if self.operations.dtype == np.float64 else 1  # onnx.TensorProto.DOUBLE, FLOAT
            return Tensor(self.operations.add("Cast", operand.name, to=to), False, operand.row)
        return operand

    def truth(self, operand: Operand) -> bool | Tensor:
        """Whether it is not 0."""
        if not isinstance(operand, Tensor):
            return bool(operand)
        return operand if operand.truth else self.write("Not", self.write("Equal", operand, 0.0, truth=True),
                                                        truth=True)

    def choose(self, test: bool | Tensor, yes: Operand, no: Operand) -> Operand:
        if isinstance(test, bool):
            return yes if test else no
        if yes == no:
            return yes
        if all(isinstance(x, bool) or (isinstance(x, Tensor) and x.truth) for x in (yes, no)):
            # runtimes lack a Where of truth values
            if no is False:
                return self.write("And", test, yes, truth=True)
            if yes is True:
                return self.write("Or", test, no, truth=True)
            other = self.write("And", self.write("Not", test, truth=True), no, truth=True)
            return self.write("Or", self.write("And", test, yes, truth=True), other, truth=True)
        return self.write("Where", test, self.number(yes), self.number(no))

    def arithmetic(self, kind: str, fold: Callable[..., Any], a: Operand, b: Operand) -> Operand:
        a, b = self.number(a), self.number(b)
        if isinstance(a, Tensor) or isinstance(b, Tensor):
            return self.write(kind, a, b)
        if isinstance(a, int) and isinstance(b, int) and fold is not np.divide:
            return int(fold(int(a), int(b)))
        with np.errstate(all="ignore"):
            return float(fold(np.float64(a), np.float64(b)))

    def power(self, node: ast.AST, a: Operand, b: Operand) -> Operand:
        a, b = self.number(a), self.number(b)
        if not isinstance(b, Tensor) and b in (2, 3, 4):  # exact where Pow may not be
            return reduce(lambda x, y: self.arithmetic("Mul", np.multiply, x, y), [a] * int(b))
        if isinstance(a, Tensor) or isinstance(b, Tensor):
            return self.write("Pow", a, b)
        return self.fold(node, math.pow, a, b)

    def fold(self, node: ast.AST, function: Callable[..., Any], *numbers: Any) -> float:
        try:
            return function(*numbers)
        except (ArithmeticError, ValueError) as error:
            raise self.error(node, f"can't be computed at {', '.join(map(repr, numbers))}: {error}") from None
