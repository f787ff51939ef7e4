"""What a formula returns: its derivative can be made of the value, which the caller has."""

from __future__ import annotations

import ast
from typing import cast

from numbanet.derive.expressions import Expressions
from numbanet.derive.syntax import Expr, add, divide, literal, multiply, names, negative, number, zero


class Tails(Expressions):
    """Writes return statements of derivatives."""

    def tail(self, node: ast.expr, scale: Expr, y: ast.Name | None) -> None:
        """Return `scale` times the derivative of an expression, where `y` is `scale` times its value."""
        if isinstance(node, ast.IfExp):
            parts = []
            for part in (node.body, node.orelse):
                with self.block() as inner:
                    self.tail(part, scale, y)
                parts.append(inner)
            self.out += _choice(self.by_value(node, scale, y), *parts)
            return
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return self.tail(node.operand, negative(scale), y)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            for factor, rest in ((node.left, node.right), (node.right, node.left)):
                if not names(factor) & self.active:
                    return self.tail(rest, multiply(scale, factor), y)
        limited, limits = self.limits(node)
        slope = self.limited(limited, limits, scale, y) if limits else self.scaled(node, scale, y)
        self.out.append(ast.Return(zero(slope)))

    def scaled(self, node: ast.expr, scale: Expr, y: ast.Name | None) -> Expr:
        own = self.function_of_math(node.func) if isinstance(node, ast.Call) else None
        known = number(scale)
        if y is not None and own in ("exp", "expm1", "tanh") and (known or own != "tanh"):
            _, slope = self.split(cast(ast.Call, node).args[0])
            if own == "tanh":
                return multiply(add(scale, negative(divide(multiply(y, y), zero(scale)))), slope)
            return multiply(y if own == "exp" else add(y, scale), slope)
        return multiply(scale, self.split(node, into=y if known == 1 else None)[1])

    # -- limits -------------------------------------------------------------------------

    def limits(self, node: ast.expr) -> tuple[ast.expr, list[tuple[ast.Call, int]]]:
        """What a chain of min and max limits, and the calls, from outside, with the place of what each limits."""
        calls: list[tuple[ast.Call, int]] = []
        while isinstance(node, ast.Call) and len(node.args) == 2 and not node.keywords:
            active = [i for i, part in enumerate(node.args) if names(part) & self.active]
            if len(active) != 1 or self.resolve(node.func) not in (min, max):
                break
            calls.append((node, active[0]))
            node = node.args[active[0]]
        return node, calls

    def limited(
        self, inner: ast.expr, calls: list[tuple[ast.Call, int]], scale: Expr, y: ast.Name | None
    ) -> ast.expr:
        """The slope between the limits, 0 at them and beyond, as the value tells."""
        value, slope = self.split(inner)
        tests: list[tuple[ast.cmpop, ast.expr]] = []
        for call, place in reversed(calls):
            limit = self.keep(call.args[1 - place])
            beyond: ast.cmpop = ast.Gt() if self.resolve(call.func) is max else ast.Lt()
            tests.append((beyond, limit))
            value = ast.Call(call.func, [value, limit] if place == 0 else [limit, value], [])
        y = y if y is not None and number(scale) == 1 else cast(ast.Name, self.keep(value))
        result = zero(multiply(scale, slope))
        for beyond, limit in tests:
            result = ast.IfExp(ast.Compare(y, [beyond], [limit]), result, literal(0.0))
        return result

    # -- signs --------------------------------------------------------------------------

    def by_value(self, node: ast.IfExp, scale: Expr, y: ast.Name | None) -> ast.expr:
        """The test of a choice; where it asks for the sign of x, and y has the same, it asks for that of y."""
        test, factor = node.test, number(scale)
        if y is None or not factor or not (isinstance(test, ast.Compare) and len(test.ops) == 1):
            return test
        op, x = test.ops[0], test.left
        if not isinstance(x, ast.Name) or x.id != self.seeds[0] or x.id not in self.fixed:
            return test
        if number(test.comparators[0]) != 0 or not isinstance(op, (ast.Gt, ast.Lt)):
            return test
        beyond = 1 if isinstance(op, ast.Gt) else -1
        yes = _sign(self, node.body, x.id, beyond)
        no = _sign(self, node.orelse, x.id, -beyond)
        same = beyond if factor > 0 else -beyond
        if yes != beyond or no not in (-beyond, 0):
            return test
        return ast.Compare(y, [ast.Gt() if same > 0 else ast.Lt()], [literal(0.0)])


_ODD = {"asinh", "atan", "erf", "expm1", "sinh", "tanh"}


def _sign(scope: Expressions, node: ast.expr, x: str, sign: int) -> int | None:
    """Sign of an expression where x has a sign; None where it is not known, or rounding may lose it."""
    value = number(node)
    if value is not None:
        return (value > 0) - (value < 0)
    if isinstance(node, ast.Name):
        return sign if node.id == x else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _sign(scope, node.operand, x, sign)
        return None if inner is None else -inner
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        for factor, rest in ((node.left, node.right), (node.right, node.left)):
            by, inner = number(factor), _sign(scope, rest, x, sign)
            if by is not None and abs(by) >= 1 and inner is not None:  # less might make 0 of what is not
                return inner if by > 0 else -inner
        return None
    if isinstance(node, ast.Call) and len(node.args) == 1 and scope.function_of_math(node.func) in _ODD:
        return _sign(scope, node.args[0], x, sign)
    return None


def _choice(test: ast.expr, yes: list[ast.stmt], no: list[ast.stmt]) -> list[ast.stmt]:
    """An if and its else, both of which return, or less, where they return the same."""
    if _text(yes) == _text(no):
        return yes
    last = no[0]
    if len(no) == 1 and isinstance(last, ast.If) and _text(yes) == _text(last.body):
        return [ast.If(ast.BoolOp(ast.Or(), [test, last.test]), yes, last.orelse)]
    return [ast.If(test, yes, no)]


def _text(body: list[ast.stmt]) -> str:
    return "\n".join(ast.unparse(ast.fix_missing_locations(statement)) for statement in body)
