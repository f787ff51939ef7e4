"""Value and tangent of expressions."""

from __future__ import annotations

import ast
import math
import re
import types
from collections.abc import Callable
from functools import partial, reduce
from typing import Any, cast

from numbanet._source import FormulaError, parse
from numbanet.derive.rules import HELPERS, RULES
from numbanet.derive.scope import Into, Scope
from numbanet.derive.syntax import (
    Expr,
    add,
    assign,
    divide,
    literal,
    load,
    multiply,
    names,
    negative,
    number,
    substitute,
    zero,
)


class Expressions(Scope):
    """Splits expressions; statements that they need are written before."""

    def with_slope(self, function: Callable[..., Any], active: tuple[int, ...]) -> Callable[..., Any]:
        """Formula of value and derivative; with several active arguments it takes their tangents, too."""
        raise NotImplementedError

    def unknown(self, node: ast.AST) -> FormulaError:
        what = f"'{ast.unparse(node)}'" if isinstance(node, ast.expr) else type(node).__name__
        return self.error(node, f"uses {what}, which can't be differentiated; write it otherwise, or give derivative=")

    def split(self, node: ast.expr, into: Into = None) -> tuple[ast.expr, Expr]:
        """Value and tangent; `into` names the value, or where it is to be kept if the tangent needs it."""
        if not names(node) & self.active:
            return node, None
        if isinstance(node, ast.Name):
            if node.id not in self.fixed:
                self.met.add(node.id)
            return node, self.fixed.get(node.id, load(self.tangents[node.id]))
        if isinstance(node, ast.Compare) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)):
            return node, None
        if isinstance(node, ast.UnaryOp):
            value, slope = self.split(node.operand)
            return ast.UnaryOp(node.op, value), negative(slope) if isinstance(node.op, ast.USub) else slope
        if isinstance(node, ast.BoolOp):
            first, rest = node.values[0], node.values[1:]
            other = rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
            parts = (other, first) if isinstance(node.op, ast.And) else (first, other)
            return self.choice(ast.IfExp(first, *parts), into)
        if isinstance(node, ast.IfExp):
            return self.choice(node, into)
        if isinstance(node, ast.BinOp):
            return self.operation(node, into)
        if isinstance(node, ast.Call) and not node.keywords:
            return self.call(node, into)
        raise self.unknown(node)

    def choice(self, node: ast.IfExp, into: Into) -> tuple[ast.expr, Expr]:
        """The derivative of the branch taken."""
        blocks, pairs = [], []
        for part in (node.body, node.orelse):
            with self.block() as inner:
                pairs.append(self.split(part))
            blocks.append(inner)
        (a, da), (b, db) = pairs
        if not any(blocks):
            test = node.test if isinstance(node.test, ast.Compare) else self.keep(node.test, letter="c")
            slope = None if da is None and db is None else ast.IfExp(test, zero(da), zero(db))
            return ast.IfExp(test, a, b), slope
        value = into if isinstance(into, str) else self.temporary("t")
        tangent = self.temporary("d")
        for inner, (v, d) in zip(blocks, pairs, strict=True):
            inner += [assign([value], v), assign([tangent], zero(d))]
        self.out.append(ast.If(node.test, *blocks))
        self.forget([value])
        return load(value), load(tangent)

    def operation(self, node: ast.BinOp, into: Into) -> tuple[ast.expr, Expr]:
        if isinstance(node.op, ast.Mult):
            return self.product(node)
        if isinstance(node.op, ast.Pow):
            return self.power(_power, node.left, node.right, into)
        parts = self.plus_exp(node.right)
        if isinstance(node.op, ast.Div) and parts is not None and number(node.left):
            return self.logistic(node, *parts, into)
        (a, da), (b, db) = self.split(node.left), self.split(node.right)
        if isinstance(node.op, (ast.Add, ast.Sub)):
            return ast.BinOp(a, node.op, b), add(da, db if isinstance(node.op, ast.Add) else negative(db))
        if isinstance(node.op, ast.FloorDiv):
            return node, None
        b = self.keep(b)
        if isinstance(node.op, ast.Div):
            if db is None:
                return ast.BinOp(a, node.op, b), divide(da, b)
            y = self.keep(ast.BinOp(a, node.op, b), into)
            return y, divide(add(da, negative(self.vanishing(y, db))), b)
        if isinstance(node.op, ast.Mod):
            a = self.keep(a)
            if db is None:
                return ast.BinOp(a, node.op, b), da
            return ast.BinOp(a, node.op, b), add(da, negative(multiply(ast.BinOp(a, ast.FloorDiv(), b), db)))
        raise self.unknown(node)

    def plus_exp(self, node: ast.expr) -> tuple[float, ast.Call] | None:
        """Parts of a sum of a literal and an exponential."""
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Add):
            return None
        for one, other in ((node.left, node.right), (node.right, node.left)):
            c, plain = number(one), isinstance(other, ast.Call) and len(other.args) == 1 and not other.keywords
            if c is not None and plain and self.function_of_math(cast(ast.Call, other).func) == "exp":
                return c, cast(ast.Call, other)
        return None

    def logistic(self, node: ast.BinOp, c: float, exp: ast.Call, into: Into) -> tuple[ast.expr, Expr]:
        """a / (c + exp(z)): its tangent -y (1 - c y / a) dz is made of its value, and does not overflow."""
        z, dz = self.split(exp.args[0])
        value = ast.Call(exp.func, [z], [])
        y = self.keep(ast.BinOp(node.left, ast.Div(), cast(ast.expr, add(literal(c), value))), into)
        rest = add(literal(1.0), negative(multiply(literal(c / cast(float, number(node.left))), y)))
        return y, negative(multiply(multiply(y, rest), dz))

    def vanishing(self, y: ast.expr, slope: ast.expr) -> Expr:
        """y times a slope; 0 where y is, though the slope may have overflowed, as in 1 / (1 + exp(-x))."""
        product = multiply(y, slope)
        if product is None or self.steady(slope):
            return product
        return ast.IfExp(ast.Compare(y, [ast.NotEq()], [literal(0.0)]), product, literal(0.0))

    def steady(self, slope: ast.expr) -> bool:
        """Whether a tangent is made of parameters, signs and literals, and choices among them."""
        if isinstance(slope, ast.IfExp):
            return self.steady(slope.body) and self.steady(slope.orelse)
        if isinstance(slope, ast.UnaryOp):
            return self.steady(slope.operand)
        if isinstance(slope, ast.BinOp) and isinstance(slope.op, (ast.Add, ast.Sub, ast.Mult)):
            return self.steady(slope.left) and self.steady(slope.right)
        if isinstance(slope, ast.Call) and isinstance(slope.func, ast.Name):
            return self.scope.get(slope.func.id) is HELPERS["sign"]
        if isinstance(slope, ast.Name):
            return slope.id in self.bounded or slope.id in self.arguments
        return number(slope) is not None

    def product(self, node: ast.BinOp) -> tuple[ast.expr, Expr]:
        """The sum over the factors of the tangent of one times the others; equal ones are a power."""
        factors: list[ast.expr] = [node]
        while isinstance(factors[0], ast.BinOp) and isinstance(factors[0].op, ast.Mult):
            factors[:1] = [factors[0].left, factors[0].right]
        parts = [self.split(factor) for factor in factors]
        several = sum(slope is not None for _, slope in parts) > 1
        powers: dict[str, tuple[int, ast.expr, ast.expr]] = {}
        shared: Expr = literal(1.0)
        values: list[ast.expr] = []
        for value, slope in parts:
            if slope is None:
                shared = multiply(shared, value)
            else:
                value = self.keep(value) if several else value
                text = ast.unparse(value)
                powers[text] = powers.get(text, (0,))[0] + 1, value, slope
            values.append(value)
        total: Expr = None
        for text, (count, value, slope) in powers.items():
            others = [v for t, (n, v, _) in powers.items() for _ in range(n) if t != text]
            term = reduce(multiply, [literal(count), *[value] * (count - 1), *others, slope])  # type: ignore[arg-type]
            total = add(total, term)
        return reduce(lambda a, b: ast.BinOp(a, ast.Mult(), b), values), multiply(shared, total)

    def power(
        self, make: Callable[[ast.expr, ast.expr], ast.expr], base: ast.expr, exponent: ast.expr, into: Into
    ) -> tuple[ast.expr, Expr]:
        (x, dx), (z, dz), n = self.split(base), self.split(exponent), number(exponent)
        x = self.keep(x)
        if n is not None:
            less = ast.Constant(int(n) - 1) if n.is_integer() else literal(n - 1)
            lower = literal(1.0) if n == 1 else x if n == 2 else ast.BinOp(x, ast.Pow(), less)
            return make(x, z), multiply(multiply(literal(n), lower), dx)
        z = self.keep(z)
        slope = multiply(self.rule("power_slope(x, z)", x=x, z=z), dx)
        if dz is None:
            return make(x, z), slope
        y, b = self.keep(make(x, z), into), number(x)
        rate = multiply(literal(math.log(b)), y) if b and b > 0 else self.rule("exponent_slope(x, z, y)", x=x, z=z, y=y)
        return y, add(slope, multiply(rate, dz))

    # -- calls --------------------------------------------------------------------------

    def function_of_math(self, node: ast.expr) -> str | None:
        value = self.resolve(node)
        name = getattr(value, "__name__", "")
        return name if name and getattr(math, name, None) is value else None

    def rule(self, text: str, **values: ast.expr) -> ast.expr:
        """A rule's text with the arguments in their places."""
        own = {name: self.bind(name, helper) for name, helper in [("math", math), *HELPERS.items()]
               if re.search(rf"\b{name}\b", text)}
        return substitute(text, {**values, **own})

    def call(self, node: ast.Call, into: Into) -> tuple[ast.expr, Expr]:
        value, own = self.resolve(node.func), self.function_of_math(node.func)
        if value is float and len(node.args) == 1:
            return self.split(node.args[0], into)
        if value is int or value is bool:
            return node, None
        if value is pow and len(node.args) == 2:
            return self.power(_power, node.args[0], node.args[1], into)
        if own == "pow" and len(node.args) == 2:
            return self.power(lambda x, z: ast.Call(node.func, [x, z], []), node.args[0], node.args[1], into)
        if value is abs:
            own = "fabs"
        if own is not None:
            return self.tabled(node, own, into)
        parts = [self.split(argument) for argument in node.args]
        if (value is min or value is max) and len(parts) > 1:
            return reduce(partial(self.extreme, node.func, ast.Gt() if value is max else ast.Lt()), parts)
        if isinstance(getattr(value, "py_func", value), types.FunctionType):
            return self.helper(node, value, parts, into)
        raise self.unknown(node)

    def tabled(self, node: ast.Call, own: str, into: Into) -> tuple[ast.expr, Expr]:
        """Call of a function with derivatives in the table."""
        rules = RULES.get(own, ())
        if len(rules) != len(node.args):
            raise self.unknown(node)
        parts = [self.split(argument) for argument in node.args]
        used = [(text, slope) for text, (_, slope) in zip(rules, parts, strict=True) if text and slope is not None]
        mentioned = set().union(*(names(parse(text)) for text, _ in used))
        values = {name: self.keep(value) if name in mentioned else value
                  for name, (value, _) in zip("xz", parts, strict=False)}
        y: ast.expr = ast.Call(node.func, list(values.values()), [])
        if "y" in mentioned:
            y = values["y"] = self.keep(y, into)
        return y, reduce(add, (multiply(self.rule(text, **values), slope) for text, slope in used), None)

    def extreme(
        self, function: ast.expr, beyond: ast.cmpop, left: tuple[ast.expr, Expr], right: tuple[ast.expr, Expr]
    ) -> tuple[ast.expr, Expr]:
        """The larger or the smaller of two: its tangent, and of equals the mean of both."""
        (a, da), (b, db) = left, right
        if da is None and db is None:
            return ast.Call(function, [a, b], []), None
        a, b = self.keep(a), self.keep(b)
        da, db = (None if slope is None else self.keep_slope(slope) for slope in (da, db))
        equal = zero(multiply(literal(0.5), add(da, db)))
        slope = ast.IfExp(ast.Compare(a, [beyond], [b]), zero(da),
                          ast.IfExp(ast.Compare(b, [beyond], [a]), zero(db), equal))
        return ast.Call(function, [a, b], []), slope

    def keep_slope(self, slope: ast.expr) -> ast.expr:
        """A tangent under a name."""
        kept = self.keep(slope, letter="d")
        if isinstance(kept, ast.Name) and self.steady(slope):
            self.bounded.add(kept.id)
        return kept

    def helper(
        self, node: ast.Call, value: Any, parts: list[tuple[ast.expr, Expr]], into: Into
    ) -> tuple[ast.expr, Expr]:
        """Call of another formula, which becomes one of its value and derivative."""
        slopes = {i: slope for i, (_, slope) in enumerate(parts) if slope is not None}
        arguments = [v for v, _ in parts] + [literal(default) for default in self.defaults(node, value)]
        if not slopes:
            return ast.Call(node.func, arguments, []), None
        function = self.with_slope(value, tuple(slopes))
        if len(slopes) > 1:
            arguments += slopes.values()
        call = ast.Call(self.bind(function.__name__, function), arguments, [])
        text = ast.unparse(call)
        if text not in self.memo:
            kept = [into if isinstance(into, str) else self.temporary("t"), self.temporary("d")]
            self.emit(kept, call)
            self.memo[text] = kept, names(call)
        (y, slope) = map(load, self.memo[text][0])
        return y, slope if len(slopes) > 1 else multiply(slope, *slopes.values())


def _power(x: ast.expr, z: ast.expr) -> ast.expr:
    return ast.BinOp(x, ast.Pow(), z)
