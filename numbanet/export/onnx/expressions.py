"""Expressions of a formula, computed by ONNX operations."""

from __future__ import annotations

import ast
import math
import operator
import types
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from numbanet.export.onnx.elementary import DIRECT, FORMULAS, TRUTHS
from numbanet.export.onnx.operands import Names, Operand, Operands, Row, Tensor

ARITHMETIC: dict[type, tuple[str, Callable[..., Any]]] = {
    ast.Add: ("Add", np.add), ast.Sub: ("Sub", np.subtract), ast.Mult: ("Mul", np.multiply),
    ast.Div: ("Div", np.divide),
}  # fmt: skip
COMPARISONS: dict[type, tuple[str, Callable[..., Any]]] = {
    ast.Lt: ("Less", operator.lt), ast.LtE: ("LessOrEqual", operator.le), ast.Gt: ("Greater", operator.gt),
    ast.GtE: ("GreaterOrEqual", operator.ge), ast.Eq: ("Equal", operator.eq), ast.NotEq: ("Equal", operator.ne),
}  # fmt: skip


class Expressions(Operands):
    """Computes expressions."""

    # -- expressions --------------------------------------------------------------------

    def value(self, node: ast.expr | None, names: Names) -> Operand:
        method = getattr(self, f"value_{type(node).__name__}", None)
        if node is None or method is None:
            raise self.error(node or self.node, f"uses {type(node).__name__}, which ONNX operations can't express")
        return method(node, names)

    def value_Constant(self, node: ast.Constant, names: Names) -> Operand:
        return self.captured(node, node.value)

    def value_Attribute(self, node: ast.Attribute, names: Names) -> Operand:
        return self.captured(node, self.resolve(node))

    def value_Name(self, node: ast.Name, names: Names) -> Operand:
        if node.id not in names:
            return self.captured(node, self.resolve(node))
        value = names[node.id]
        if isinstance(value, Row):
            raise self.error(node, f"uses the row '{node.id}' as a number; index it, as in {node.id}[j]")
        return value

    def captured(self, node: ast.expr, value: Any) -> Operand:
        if isinstance(value, (bool, np.bool_)):
            return bool(value)
        if isinstance(value, (int, np.integer)):
            return int(value)
        if isinstance(value, (float, np.floating)):
            return float(value)
        raise self.error(node, f"uses '{ast.unparse(node)}', a {type(value).__name__}; only numbers can be captured")

    def value_UnaryOp(self, node: ast.UnaryOp, names: Names) -> Operand:
        value = self.value(node.operand, names)
        if isinstance(node.op, ast.Not):
            truth = self.truth(value)
            return not truth if isinstance(truth, bool) else self.write("Not", truth, truth=True)
        value = self.number(value)
        if isinstance(node.op, ast.Invert):
            raise self.error(node, "uses Invert, which ONNX operations can't express")
        if isinstance(node.op, ast.UAdd):
            return value
        return self.write("Neg", value) if isinstance(value, Tensor) else -value

    def value_BinOp(self, node: ast.BinOp, names: Names) -> Operand:
        a, b = self.value(node.left, names), self.value(node.right, names)
        if type(node.op) in ARITHMETIC:
            return self.arithmetic(*ARITHMETIC[type(node.op)], a, b)
        if isinstance(node.op, ast.Pow):
            return self.power(node, a, b)
        if isinstance(node.op, (ast.FloorDiv, ast.Mod)):
            a, b = self.number(a), self.number(b)
            if not isinstance(a, Tensor) and not isinstance(b, Tensor):
                fold = operator.floordiv if isinstance(node.op, ast.FloorDiv) else operator.mod
                return self.fold(node, fold, a, b)
            floor = self.write("Floor", self.arithmetic("Div", np.divide, a, b))
            if isinstance(node.op, ast.FloorDiv):
                return floor
            return self.arithmetic("Sub", np.subtract, a, self.arithmetic("Mul", np.multiply, floor, b))
        raise self.error(node, f"uses {type(node.op).__name__}, which ONNX operations can't express")

    def value_BoolOp(self, node: ast.BoolOp, names: Names) -> Operand:
        def join(a: Operand, b: Operand) -> Operand:
            test = self.truth(a)
            if test is a:  # truth itself, which then need not be chosen from
                return self.choose(test, b, False) if isinstance(node.op, ast.And) else self.choose(test, True, b)
            return self.choose(test, b, a) if isinstance(node.op, ast.And) else self.choose(test, a, b)

        return reduce(join, (self.value(part, names) for part in node.values))

    def value_Compare(self, node: ast.Compare, names: Names) -> Operand:
        values = [self.number(self.value(part, names)) for part in (node.left, *node.comparators)]
        parts: list[Operand] = []
        for op, a, b in zip(node.ops, values, values[1:], strict=False):
            if type(op) not in COMPARISONS:
                raise self.error(node, f"uses {type(op).__name__}, which ONNX operations can't express")
            kind, fold = COMPARISONS[type(op)]
            if not isinstance(a, Tensor) and not isinstance(b, Tensor):
                parts.append(bool(fold(a, b)))
                continue
            part = self.write(kind, a, b, truth=True)
            parts.append(self.write("Not", part, truth=True) if isinstance(op, ast.NotEq) else part)
        return reduce(lambda a, b: self.choose(self.truth(a), b, False), parts)

    def value_IfExp(self, node: ast.IfExp, names: Names) -> Operand:
        test = self.truth(self.value(node.test, names))
        if isinstance(test, bool):
            return self.value(node.body if test else node.orelse, names)
        return self.choose(test, self.value(node.body, names), self.value(node.orelse, names))

    # -- calls --------------------------------------------------------------------------

    def value_Call(self, node: ast.Call, names: Names) -> Operand:
        if node.keywords:
            raise self.error(node, f"calls {ast.unparse(node.func)} with keyword arguments; pass them by position")
        function = self.resolve(node.func)
        if function is len:
            return self.row_length(node, names)
        arguments = [self.value(argument, names) for argument in node.args]
        if function is bool and len(arguments) == 1:
            return self.truth(arguments[0])
        arguments = [self.number(argument) for argument in arguments]
        if function is float and len(arguments) == 1:
            return arguments[0] if isinstance(arguments[0], Tensor) else float(arguments[0])
        if (function is pow and len(arguments) == 2) or function is math.pow:
            return self.power(node, *arguments)
        if isinstance(function, types.BuiltinFunctionType) and function in (min, max) and arguments:
            kind, fold = ("Max", np.fmax) if function is max else ("Min", np.fmin)
            return reduce(lambda a, b: self.arithmetic(kind, fold, a, b), arguments)
        if function is abs or function is int:
            function = math.fabs if function is abs else math.trunc
        own = getattr(function, "__name__", "")
        if own and getattr(math, own, None) is function:
            return self.elementary(node, own, arguments)
        plain = getattr(function, "py_func", function)
        if isinstance(plain, types.FunctionType):
            return self.apply(plain, [*arguments, *self.defaults(node, plain)])
        raise self.error(node, f"calls {function!r}; use math.*, abs, min, max or another formula")

    def elementary(self, node: ast.Call, name: str, arguments: list[Operand]) -> Operand:
        if not any(isinstance(argument, Tensor) for argument in arguments):
            return self.fold(node, getattr(math, name), *arguments)
        if name in DIRECT and len(arguments) == 1:
            return self.write(DIRECT[name], *arguments, truth=DIRECT[name] in TRUTHS)
        if name == "fmod" and len(arguments) == 2:
            return self.write("Mod", *arguments, fmod=1)
        if name in FORMULAS and len(arguments) == FORMULAS[name].__code__.co_argcount:
            return self.apply(FORMULAS[name], arguments)
        known = ", ".join(sorted([*DIRECT, *FORMULAS, "fmod", "pow"]))
        raise self.error(node, f"calls math.{name} with {len(arguments)} arguments, which ONNX operations can't "
                               f"express; those they can: {known}")

    # -- rows ---------------------------------------------------------------------------

    def row_of(self, node: ast.expr, names: Names) -> Row:
        row = names.get(node.id) if isinstance(node, ast.Name) else None
        if not isinstance(row, Row):
            raise self.error(node, f"uses '{ast.unparse(node)}' as a row, which it is not")
        return row

    def row_length(self, node: ast.Call, names: Names) -> int:
        for argument in node.args:
            self.row_of(argument, names)
        return self.length

    def value_Subscript(self, node: ast.Subscript, names: Names) -> Operand:
        row = self.row_of(node.value, names)
        if row.tensor is None:
            raise self.error(node, f"reads '{ast.unparse(node)}' before it is written")
        begin, end = self.place(node.slice, names)
        return Tensor(self.cut(row.tensor, begin, end), row=end - begin > 1 or self.whole(node.slice))

    def whole(self, index: ast.expr) -> bool:
        """Whether an index is that of the loop written as operations on rows."""
        return self.index is not None and isinstance(index, ast.Name) and index.id == self.index[0]

    def place(self, index: ast.expr, names: Names) -> tuple[int, int]:
        """First and past the last element that an index means."""
        if self.whole(index):
            assert self.index is not None
            return self.index[1].start, self.index[1].stop
        value = self.value(index, names)
        if isinstance(value, (Tensor, float)) or not -self.length <= value < self.length:
            raise self.error(index, f"indexes with '{ast.unparse(index)}'; use loop variables and len(), in the row")
        return value % self.length, value % self.length + 1

    def cut(self, name: str, begin: int, end: int) -> str:
        if (begin, end) == (0, self.length):
            return name
        whole = self.operations.integers
        return self.operations.add("Slice", name, whole(begin), whole(end), whole(1))
