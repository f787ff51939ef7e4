"""Which paths through a formula return, and what is assigned on the way."""

from __future__ import annotations

import ast


def returns(body: list[ast.stmt]) -> bool:
    """Whether statements return a value on every path."""
    last = body[-1] if body else None
    if isinstance(last, ast.If):
        return returns(last.body) and returns(last.orelse)
    return isinstance(last, ast.Return) and last.value is not None


def unassigned(body: list[ast.stmt], arguments: list[str]) -> ast.Name | None:
    """A name of the formula's own that may be read before it is assigned; loops count as run through once."""
    stored = {n.id for s in body for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return _Flow(stored - set(arguments)).first(body)


class _Flow:
    def __init__(self, own: set[str]) -> None:
        self.own = own
        self.found: ast.Name | None = None

    def first(self, body: list[ast.stmt]) -> ast.Name | None:
        self.follow(body, set())
        return self.found

    def follow(self, body: list[ast.stmt], known: set[str]) -> set[str] | None:
        """Names assigned behind statements; None where nothing is reached."""
        for statement in body:
            if isinstance(statement, ast.If):
                self.read(statement.test, known)
                ends = [self.follow(part, set(known)) for part in (statement.body, statement.orelse)]
                reached = [end for end in ends if end is not None]
                if not reached:
                    return None
                known = set.intersection(*reached)
                continue
            if isinstance(statement, ast.For):
                self.read(statement.iter, known)
                inner = self.follow(statement.body, known | self.stored(statement.target))
                known |= inner or set()
                continue
            self.read(statement, known)
            if isinstance(statement, ast.Return):
                return None
            known |= self.stored(statement)
        return known

    def read(self, node: ast.AST, known: set[str]) -> None:
        for n in ast.walk(node):
            changed = isinstance(node, ast.AugAssign) and n is node.target
            if isinstance(n, ast.Name) and (changed or isinstance(n.ctx, ast.Load)) and n.id in self.own - known:
                self.found = self.found or n

    def stored(self, node: ast.AST) -> set[str]:
        return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
