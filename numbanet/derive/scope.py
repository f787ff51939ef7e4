"""What a derivation knows while it goes through a formula: names, tangents, what has been computed."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from numbanet._source import Reader
from numbanet.derive.syntax import Expr, assign, assigned, literal, load, names, number

Into = str | ast.Name | None


class Scope(Reader):
    """Names of a formula and of its derivative, and the statements written so far."""

    def __init__(self, function: Callable[..., Any], active: tuple[int, ...]) -> None:
        super().__init__(function)
        self.body = self.statements()
        if not self.arguments:
            raise self.error(self.node, "has no argument; there is nothing to differentiate by")
        self.seeds = [self.arguments[i] for i in active]
        stored = [name for statement in self.body for name in assigned(statement)]
        local = {*self.arguments, *stored}
        loaded = {n.id: n for s in self.body for n in ast.walk(s) if isinstance(n, ast.Name) and n.id not in local}
        self.scope: dict[str, Any] = {name: self.resolve(node) for name, node in loaded.items()}
        self.taken = {*local, *loaded}
        self.once = {name for name in stored if stored.count(name) == 1} - set(self.arguments)
        self.active = self.activity()
        self.tangents = {name: self.fresh(f"d_{name}") for name in sorted(self.active)}
        self.fixed: dict[str, Expr] = {}  # tangents that are the same number wherever the name is used
        self.met: set[str] = set()  # names whose tangent was used before it was known
        self.memo: dict[str, tuple[list[str], set[str]]] = {}  # what has a name: the names, and those it was made of
        self.bounded: set[str] = set()  # tangents that can't overflow
        self.count = 0
        self.out: list[ast.stmt] = []
        if len(active) == 1:
            if self.seeds[0] in stored:
                self.out.append(assign([self.tangents[self.seeds[0]]], literal(1.0)))
            else:
                self.fixed[self.seeds[0]] = literal(1.0)

    def activity(self) -> set[str]:
        """Names that may depend on what is differentiated by."""
        active, size = set(self.seeds), 0
        while size != len(active):
            size = len(active)
            for statement in self.body:
                for node in ast.walk(statement):
                    value = node.value if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)) else None
                    if value is not None and names(value) & active:
                        active |= set(assigned(node))
        return active

    # -- names --------------------------------------------------------------------------

    def fresh(self, name: str) -> str:
        """A name that the author has not used."""
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def temporary(self, letter: str) -> str:
        """A new name."""
        self.count += 1
        return self.fresh(f"{letter}{self.count}")

    def bind(self, name: str, value: Any) -> ast.Name:
        """Name under which the derivative finds a function or a module."""
        while name in self.taken and self.scope.get(name) is not value:
            name += "_"
        self.taken.add(name)
        self.scope[name] = value
        return load(name)

    def emit(self, targets: list[str], value: ast.expr) -> None:
        """Write an assignment."""
        self.out.append(assign(targets, value))
        self.forget(targets)

    def forget(self, changed: Iterable[str]) -> None:
        """Names get other values: what was made of the old ones must be computed anew."""
        changed = set(changed)
        self.memo = {text: (kept, of) for text, (kept, of) in self.memo.items() if not changed & {*kept, *of}}

    def keep(self, value: ast.expr, into: Into = None, letter: str = "t") -> ast.expr:
        """The value under a name, so that it is computed once."""
        if isinstance(into, ast.Name):
            return into
        if into is not None:
            self.emit([into], value)
            return load(into)
        if isinstance(value, ast.Name) or number(value) is not None:
            return value
        text = ast.unparse(value)
        if text not in self.memo:
            name = self.temporary(letter)
            self.emit([name], value)
            self.memo[text] = [name], names(value)
        return load(self.memo[text][0][0])

    @contextmanager
    def block(self) -> Iterator[list[ast.stmt]]:
        """Statements that may not be reached: what is computed there is not known behind them."""
        outer, memo = self.out, dict(self.memo)
        inner: list[ast.stmt] = []
        self.out = inner
        try:
            yield inner
        finally:
            self.out, self.memo = outer, memo
            self.forget(name for statement in inner for name in assigned(statement))
