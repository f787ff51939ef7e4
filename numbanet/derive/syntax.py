"""Syntax trees of formulas: small pieces, arithmetic, statements of which nothing comes."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from numbanet._source import parse

Expr = ast.expr | None  # None is an exact 0: nothing is made of what it multiplies


def load(name: str) -> ast.Name:
    """A name that is read."""
    return ast.Name(name, ast.Load())


def assign(targets: list[str], value: ast.expr) -> ast.Assign:
    """Assignment to one name, or to several at once."""
    stored: list[ast.expr] = [ast.Name(name, ast.Store()) for name in targets]
    return ast.Assign([stored[0] if len(stored) == 1 else ast.Tuple(stored, ast.Store())], value, lineno=1)


def names(node: ast.AST) -> set[str]:
    """All names in an expression."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def assigned(node: ast.AST) -> list[str]:
    """Names that a statement stores to, as often as it does."""
    return [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


def substitute(text: str, values: Mapping[str, ast.expr]) -> ast.expr:
    """Expression of a text with names replaced."""

    class Substitution(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            return values[node.id]

    return Substitution().visit(parse(text, mode="eval").body)


def prune(body: Iterable[ast.stmt], live: set[str]) -> tuple[list[ast.stmt], set[str]]:
    """Statements without those that assign to names that nobody reads, and the names read before them.

    ``live`` are those read behind them.
    """
    kept: list[ast.stmt] = []
    for statement in reversed(list(body)):
        if isinstance(statement, ast.Return):
            live = names(statement)
        elif isinstance(statement, ast.Assign):
            targets = set(assigned(statement))
            if not targets & live:
                continue
            live = (live - targets) | names(statement.value)
        elif isinstance(statement, ast.If):
            (yes, before_yes), (no, before_no) = prune(statement.body, live), prune(statement.orelse, live)
            if not yes and not no:
                continue
            test = statement.test if yes else ast.UnaryOp(ast.Not(), statement.test)
            statement = ast.If(test, yes or no, no if yes else [])
            live = before_yes | before_no | names(test)
        elif isinstance(statement, ast.For):
            inner, before = prune(statement.body, live)
            while not before <= live:  # what an iteration reads, the one before it writes
                live = live | before
                inner, before = prune(statement.body, live)
            if not inner:
                continue
            statement = ast.For(statement.target, statement.iter, inner, [], lineno=1)
            live = live | names(statement.iter)
        kept.append(statement)
    return kept[::-1], live


def number(node: Expr) -> float | None:
    """Value of an expression of literals."""
    if node is None:
        return 0.0
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = number(node.operand)
        return None if value is None else -value
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.Div)):
        left, right = number(node.left), number(node.right)
        if left is None or right is None or (right == 0 and isinstance(node.op, ast.Div)):
            return None
        return {ast.Add: left + right, ast.Sub: left - right, ast.Mult: left * right,
                ast.Div: left / (right or 1.0)}[type(node.op)]
    return None


def literal(value: float) -> ast.expr:
    """A number as syntax."""
    return ast.UnaryOp(ast.USub(), ast.Constant(-value)) if value < 0 else ast.Constant(float(value))


def zero(node: Expr) -> ast.expr:
    """The expression, or a literal 0."""
    return literal(0.0) if node is None else node


def negative(node: Expr) -> Expr:
    """-node."""
    value = number(node)
    if node is None or value is not None:
        return literal(-value) if value else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return node.operand
    return ast.UnaryOp(ast.USub(), node)


def add(a: Expr, b: Expr) -> Expr:
    """a + b."""
    if a is None or b is None:
        return b if a is None else a
    x, y = number(a), number(b)
    if x is not None and y is not None:
        return literal(x + y) if x + y else None
    if isinstance(b, ast.UnaryOp) and isinstance(b.op, ast.USub):
        return ast.BinOp(a, ast.Sub(), b.operand)
    return ast.BinOp(a, ast.Add(), b)


def multiply(a: Expr, b: Expr) -> Expr:
    """a * b, literals in front and put together."""
    x, y = number(a), number(b)
    if a is None or b is None or x == 0 or y == 0:
        return None
    if x is not None and y is not None:
        return literal(x * y)
    if y is not None:
        return multiply(b, a)
    if x == 1:
        return b
    if x == -1:
        return negative(b)
    for one, other in ((a, b), (b, a)):
        if isinstance(one, ast.UnaryOp) and isinstance(one.op, ast.USub) and number(one) is None:
            return negative(multiply(one.operand, other))
    for one, other in ((a, b), (b, a)):
        if isinstance(one, ast.BinOp) and number(one) is None and number(one.left) is not None:
            if isinstance(one.op, ast.Mult):
                if x is not None:
                    return multiply(multiply(a, one.left), one.right)
                return multiply(one.left, multiply(other, one.right))
            if isinstance(one.op, ast.Div):
                return divide(multiply(one.left, other), one.right)
    return ast.BinOp(a, ast.Mult(), b)


def divide(a: Expr, b: ast.expr) -> Expr:
    """a / b."""
    if a is None or number(b) == 1:
        return a
    if isinstance(a, ast.UnaryOp) and isinstance(a.op, ast.USub) and number(a) is None:
        return negative(ast.BinOp(a.operand, ast.Div(), b))
    return ast.BinOp(a, ast.Div(), b)
