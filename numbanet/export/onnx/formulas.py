"""Formulas as ONNX operations: a statement is executed once, on whatever its names stand for.

Both branches of an ``if`` are computed and one is chosen for each element. A loop over a row becomes operations on
whole rows where its iterations do not depend on each other, but for sums, products and extremes, which become
reductions. Other loops are unrolled.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import numpy as np

from numbanet.export.onnx.expressions import Expressions
from numbanet.export.onnx.operands import Names, Operand, Row, Tensor
from numbanet.export.onnx.operations import Operations
from numbanet.export.onnx.reductions import REDUCTIONS, reductions

MOST = 20_000  # operations of one formula


def write_scalar(
    operations: Operations, function: Callable[..., Any], arguments: list[Operand], depth: int = 0
) -> Operand:
    """Value of a scalar formula."""
    formula = _Formula(operations, function, depth=depth)
    value = formula.run(formula.statements(), dict(zip(formula.arguments, arguments, strict=True)))
    if value is None:
        raise formula.error(formula.node, "may end without returning a value")
    return value


def write_row(
    operations: Operations, function: Callable[..., Any], x: str, length: int, parameters: list[Operand]
) -> str:
    """Row that a row formula fills, shape ``(n, length)``."""
    formula = _Formula(operations, function, length)
    names: Names = dict(zip(formula.arguments, [Row(x), Row(None), *parameters], strict=True))
    formula.run(formula.statements(), names)
    row = names[formula.arguments[1]]
    if row.tensor is None:
        raise formula.error(formula.node, f"does not fill the row '{formula.arguments[1]}'")
    return row.tensor


class _Formula(Expressions):
    def apply(self, function: Callable[..., Any], arguments: list[Operand]) -> Operand:
        return write_scalar(self.operations, function, arguments, self.depth + 1)

    # -- statements ---------------------------------------------------------------------

    def run(self, body: list[ast.stmt], names: Names) -> Operand | None:
        """Execute statements; what is returned, if anything."""
        for i, node in enumerate(body):
            if len(self.operations.nodes) > MOST:
                raise self.error(node, f"needs more than {MOST} ONNX operations for this width; use loops whose "
                                       "iterations do not depend on each other, but for sums, max and min")
            if isinstance(node, ast.Return):
                return self.number(self.value(node.value, names))
            if isinstance(node, ast.If):
                test = self.truth(self.value(node.test, names))
                if isinstance(test, bool):
                    return self.run([*(node.body if test else node.orelse), *body[i + 1 :]], names)
                if any(isinstance(inner, ast.Return) for inner in ast.walk(node)):
                    return self.returns(node, test, body[i + 1 :], names)
                self.branches(node, test, names)
            elif isinstance(node, ast.For):
                self.loop(node, names)
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    self.assign(target, node.value, names)
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                self.assign(node.target, node.value, names)
            elif isinstance(node, ast.AugAssign):
                old = ast.copy_location(ast.parse(ast.unparse(node.target), mode="eval").body, node.target)
                ast.fix_missing_locations(old)
                self.assign(node.target, ast.copy_location(ast.BinOp(old, node.op, node.value), node), names)
            elif not isinstance(node, (ast.Pass, ast.Expr)):
                raise self.error(node, f"uses {type(node).__name__}, which ONNX operations can't express")
        return None

    def returns(self, node: ast.If, test: Tensor, rest: list[ast.stmt], names: Names) -> Operand | None:
        yes, no = (self.run([*part, *rest], dict(names)) for part in (node.body, node.orelse))
        if yes is None or no is None:
            raise self.error(node, "may end without returning a value")
        return self.choose(test, yes, no)

    def branches(self, node: ast.If, test: Tensor, names: Names) -> None:
        yes, no = dict(names), dict(names)
        self.run(node.body, yes)
        self.run(node.orelse, no)
        for name in {**yes, **no}:
            a: Any = yes.get(name, no.get(name))
            b: Any = no.get(name, yes.get(name))
            if isinstance(a, Row) and isinstance(b, Row):
                if a.tensor and b.tensor:
                    names[name] = Row(self.name(self.choose(test, Tensor(a.tensor, row=True), Tensor(b.tensor))))
                else:
                    names[name] = a if a.tensor else b
            else:
                names[name] = self.choose(test, a, b)

    def assign(self, target: ast.expr, node: ast.expr, names: Names) -> None:
        if isinstance(target, ast.Tuple) and isinstance(node, ast.Tuple) and len(target.elts) == len(node.elts):
            values = [self.value(part, names) for part in node.elts]
            for part, value in zip(target.elts, values, strict=True):
                self.store(part, value, names)
        else:
            self.store(target, self.value(node, names), names)

    def store(self, target: ast.expr, value: Operand, names: Names) -> None:
        if isinstance(target, ast.Name):
            names[target.id] = value
        elif isinstance(target, ast.Subscript):
            self.store_row(target, self.number(value), names)
        else:
            raise self.error(target, f"assigns to '{ast.unparse(target)}', which ONNX operations can't express")

    def store_row(self, target: ast.Subscript, value: Operand, names: Names) -> None:
        row = self.row_of(target.value, names)
        begin, end = self.place(target.slice, names)
        part = value.name if isinstance(value, Tensor) and value.row else self.spread(value, end - begin, names)
        if (begin, end) != (0, self.length):
            # what has not been written yet is 0 until it is
            old = row.tensor or self.spread(0.0, self.length, names)
            parts = [self.cut(old, 0, begin)] if begin else []
            parts += [part] + ([self.cut(old, end, self.length)] if end < self.length else [])
            part = self.operations.add("Concat", *parts, axis=1)
        names[target.value.id] = Row(part)  # type: ignore[attr-defined]

    def spread(self, value: Operand, length: int, names: Names) -> str:
        """The same number for some elements of every row."""
        x = names[self.arguments[0]].tensor
        shape = self.operations.add("Shape", self.cut(x, 0, length))
        return self.operations.add("Expand", self.name(value), shape)

    # -- loops --------------------------------------------------------------------------

    def loop(self, node: ast.For, names: Names) -> None:
        call = node.iter if isinstance(node.iter, ast.Call) else None
        if not isinstance(node.target, ast.Name) or node.orelse or call is None or ast.unparse(call.func) != "range":
            raise self.error(node, "has a loop that ONNX operations can't express; write 'for j in range(len(x))'")
        if any(isinstance(inner, ast.Return) for inner in ast.walk(node)):
            raise self.error(node, "returns from within a loop, which ONNX operations can't express")
        bounds = [self.value(bound, names) for bound in call.args]
        if not all(isinstance(bound, int) for bound in bounds):
            raise self.error(node, f"loops over '{ast.unparse(call)}'; a range must be known when the model is written")
        steps = range(*bounds)  # type: ignore[arg-type]
        found = reductions(node, set(names)) if steps.step == 1 and len(steps) > 0 and steps[0] >= 0 else None
        if self.index is None and found is not None and steps.stop <= self.length:
            self.together(node, steps, found, names)
            return
        for j in steps:
            names[node.target.id] = j
            self.run(node.body, names)

    def together(self, node: ast.For, steps: range, found: dict[ast.stmt, Any], names: Names) -> None:
        """All iterations of a loop over a row at once."""
        target = node.target.id  # type: ignore[attr-defined]
        arange = np.arange(steps.start, steps.stop, dtype=float).reshape(1, -1)
        names[target] = Tensor(self.operations.constant(f"range_{steps.start}_{steps.stop}", arange), row=True)
        self.index = target, steps
        before = dict(names)
        for statement in node.body:
            if statement not in found:
                self.run([statement], names)
                continue
            name, kind, part = found[statement]
            value = self.number(self.value(part, names))
            operation, join, fold = REDUCTIONS[kind]
            if not isinstance(value, Tensor) or not value.row:
                value = Tensor(self.spread(value, len(steps), names), row=True)
            # axes are an input of ReduceSum, an attribute of the others
            if operation == "ReduceSum":
                total = self.operations.add(operation, value.name, self.operations.integers(1), keepdims=1)
            else:
                total = self.operations.add(operation, value.name, axes=(1,), keepdims=1)
            names[name] = self.arithmetic(join, fold, names[name], Tensor(total))
        self.index = None
        names[target] = steps[-1]
        for name, value in names.items():  # behind a loop a name has the last iteration's value
            if isinstance(value, Tensor) and value.row and before.get(name) != value:
                whole = self.operations.integers
                last = self.operations.add("Slice", value.name, whole(len(steps) - 1), whole(len(steps)), whole(1))
                names[name] = Tensor(last, value.truth)
