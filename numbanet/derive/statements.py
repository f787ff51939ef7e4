"""Statements and whole formulas."""

from __future__ import annotations

import ast
import hashlib
import linecache
import types
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from typing import Any, cast

from numbanet.derive.syntax import (
    assigned,
    literal,
    load,
    names,
    number,
    prune,
    zero,
)
from numbanet.derive.tails import Tails


@cache
def derive(function: Callable[..., Any], result: bool = False) -> types.FunctionType:
    """Derivative of a scalar formula with respect to its first argument.

    Parameters
    ----------
    function : callable
        Formula of scalars; it and the formulas it calls are plain Python functions.
    result : bool
        Whether the derivative takes, behind the first argument, the value that the function had there.

    Returns
    -------
    function
        Formula with the arguments of `function`, and that value.

    Raises
    ------
    FormulaError
        If something can't be differentiated; the message names file and line.
    """
    return _Derivation(function, (0,), with_value=False).compile(result)


@cache
def _with_slope(function: Callable[..., Any], active: tuple[int, ...]) -> types.FunctionType:
    return _Derivation(function, active, with_value=True).compile(False)


_underway: ContextVar[tuple[types.FunctionType, ...]] = ContextVar("underway", default=())


class _Derivation(Tails):
    def __init__(self, function: Callable[..., Any], active: tuple[int, ...], with_value: bool) -> None:
        super().__init__(function, active)
        self.with_value = with_value

    def with_slope(self, function: Callable[..., Any], active: tuple[int, ...]) -> Callable[..., Any]:
        return _with_slope(function, active)

    def compile(self, result: bool) -> types.FunctionType:
        """The derivative as a function whose source can be read."""
        outer = _underway.get()
        if self.target in outer:
            raise self.error(self.node, "calls itself, which can't be differentiated; give derivative=")
        token = _underway.set((*outer, self.target))
        try:
            self.y = load(self.fresh("y")) if result else None
            for statement in self.body:
                self.statement(statement)
        finally:
            _underway.reset(token)
        arguments = list(self.arguments)
        if self.y is not None:
            arguments.insert(1, self.y.id)
        if len(self.seeds) > 1:
            arguments += [self.tangents[name] for name in self.seeds]
        own = self.target.__name__
        name = f"{own if own.isidentifier() else 'formula'}_{'with_slope' if self.with_value else 'derivative'}"
        node = cast(ast.FunctionDef, ast.parse(f"def {name}({', '.join(arguments)}): pass").body[0])
        node.body = prune(self.out, set())[0]
        text = ast.unparse(ast.fix_missing_locations(node)) + "\n"
        code = self.target.__code__
        key = hashlib.sha256(text.encode()).hexdigest()[:8]
        path = f"<{name} {key} of {code.co_filename}:{code.co_firstlineno}>"
        linecache.cache[path] = len(text), None, text.splitlines(keepends=True), path
        scope = {**self.scope, "__name__": self.target.__module__}
        exec(compile(text, path, "exec", dont_inherit=True), scope)
        return cast(types.FunctionType, scope[name])

    def statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Return) and node.value is not None:
            if self.with_value:
                value, slope = self.split(node.value)
                self.out.append(ast.Return(ast.Tuple([value, zero(slope)], ast.Load())))
            else:
                self.tail(node.value, literal(1.0), self.y)
        elif isinstance(node, ast.Assign):
            self.assignment(node.targets, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self.assignment([node.target], node.value)
        elif isinstance(node, ast.AugAssign):
            old = load(ast.unparse(node.target))
            self.assignment([node.target], ast.copy_location(ast.BinOp(old, node.op, node.value), node))
        elif isinstance(node, ast.If):
            self.out.append(ast.If(node.test, *(self.branch(part) for part in (node.body, node.orelse))))
        elif isinstance(node, ast.For) and not node.orelse:
            changed = set(assigned(node))
            self.forget(changed | {self.tangents[name] for name in changed & self.active})
            self.out.append(ast.For(node.target, node.iter, self.branch(node.body), [], lineno=node.lineno))
        elif not isinstance(node, (ast.Pass, ast.Expr)):
            raise self.unknown(node)

    def branch(self, body: list[ast.stmt]) -> list[ast.stmt]:
        with self.block() as inner:
            for statement in body:
                self.statement(statement)
        return inner

    def assignment(self, targets: list[ast.expr], value: ast.expr) -> None:
        first = targets[0]
        if len(targets) == 1 and isinstance(first, ast.Tuple) and isinstance(value, ast.Tuple):
            targets, values = first.elts, value.elts
        else:
            values = [value] * len(targets)
        left = [target.id for target in targets if isinstance(target, ast.Name)]
        if not len(left) == len(targets) == len(values):
            raise self.error(first, f"assigns to '{ast.unparse(first)}' what can't be differentiated; "
                                    "assign one value at a time, or give derivative=")
        alone = len(left) == 1 and left[0] not in names(value)
        pairs = [self.split(part, into=left[0] if alone else None) for part in values]
        slopes, tangents = [], []
        for name, (_, slope) in zip(left, pairs, strict=True):
            if name not in self.active:
                continue
            if name in self.once and name not in self.met and number(slope) is not None:
                self.fixed[name] = slope
            else:
                if name in self.once and self.steady(zero(slope)):
                    self.bounded.add(self.tangents[name])
                slopes.append(self.tangents[name])
                tangents.append(zero(slope))
        if len(left) > 1:
            self.emit(left + slopes, ast.Tuple([v for v, _ in pairs] + tangents, ast.Load()))
            return
        if slopes:
            self.emit(slopes, tangents[0])  # first, for it may need the old value
        if not (isinstance(pairs[0][0], ast.Name) and pairs[0][0].id == left[0]):
            self.emit(left, pairs[0][0])
