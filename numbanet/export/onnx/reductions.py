"""Which loops over a row are reductions and operations on whole rows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import numpy as np

from numbanet.derive.syntax import names

# kind of reduction: its operation, and how it is joined with what there was before
REDUCTIONS: dict[str, tuple[str, str, Any]] = {
    "sum": ("ReduceSum", "Add", np.add),
    "difference": ("ReduceSum", "Sub", np.subtract),
    "product": ("ReduceProd", "Mul", np.multiply),
    "max": ("ReduceMax", "Max", np.fmax),
    "min": ("ReduceMin", "Min", np.fmin),
}
_OPERATORS: dict[type, str] = {ast.Add: "sum", ast.Sub: "difference", ast.Mult: "product"}


def reductions(loop: ast.For, before: set[str]) -> dict[ast.stmt, tuple[str, str, ast.expr]] | None:
    """Statements of a loop that reduce: the name, the kind of reduction and what is reduced.

    None if an iteration needs something else of another one; ``before`` are the names known before the loop.
    """
    index = loop.target.id  # type: ignore[attr-defined]
    if any(isinstance(node, (ast.For, ast.While)) for s in loop.body for node in ast.walk(s)):
        return None
    found = {}
    for statement in loop.body:
        reduction = _reduction(statement)
        if reduction is not None and reduction[0] in before:
            found[statement] = reduction
    reduced = [name for name, _, _ in found.values()]
    others = [s for s in loop.body if s not in found]
    written: set[str] = set()  # in this iteration, on every way
    stored = {n.id for s in others for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    parts: list[tuple[ast.stmt, ast.AST]] = [(s, found[s][2] if s in found else s) for s in loop.body]
    rows = {n.value.id for s in others for n in _subscripts(s) if isinstance(n.ctx, ast.Store)}  # type: ignore[attr-defined]
    for statement, part in parts:
        if names(part) & set(reduced) or index in stored:
            return None
        for node in _subscripts(part):
            whole = isinstance(node.slice, ast.Name) and node.slice.id == index
            name = node.value.id if isinstance(node.value, ast.Name) else ""
            if not whole and (index in names(node.slice) or name in rows or isinstance(node.ctx, ast.Store)):
                return None
        if statement in found:
            read = names(part)
        else:
            read = {n.id for n in ast.walk(part) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
            if isinstance(statement, ast.AugAssign):
                read |= names(statement.target)
        if isinstance(statement, ast.If) or (read & stored) - written:
            conditional = {n.id for n in ast.walk(part) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
            if (read & stored) - written or conditional - written:
                return None  # carried from one iteration to the next
        elif statement not in found:
            written |= {n.id for n in ast.walk(part) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return found if len(reduced) == len(set(reduced)) else None


def _subscripts(node: ast.AST) -> Iterator[ast.Subscript]:
    return (inner for inner in ast.walk(node) if isinstance(inner, ast.Subscript))


def _reduction(node: ast.stmt) -> tuple[str, str, ast.expr] | None:
    """``a += e``, ``a = a + e``, ``a = max(a, e)`` and the like."""
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and type(node.op) in _OPERATORS:
        return node.target.id, _OPERATORS[type(node.op)], node.value
    if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
        return None
    name, value = node.targets[0].id, node.value
    kind, parts = None, []
    if isinstance(value, ast.BinOp) and type(value.op) in _OPERATORS:
        kind, parts = _OPERATORS[type(value.op)], [value.left, value.right]
    elif isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in ("max", "min"):
        kind, parts = value.func.id, value.args
    if kind is None or len(parts) != 2:
        return None
    for own, other in (parts, parts[::-1])[: 1 if kind == "difference" else 2]:
        if isinstance(own, ast.Name) and own.id == name and name not in names(other):
            return name, kind, other
    return None
