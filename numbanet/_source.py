"""The syntax tree of a function, read from its own source."""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import threading
import types
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, cast

BUILTINS = {"abs", "min", "max", "len", "range", "float", "int", "bool", "pow"}


_TREES = threading.RLock()  # Python 3.11 counts the depth of the trees it makes for all threads together, and fails


def parse(text: str, mode: str = "exec") -> Any:
    """Syntax tree of a text, in one thread at a time."""
    with _TREES:
        return ast.parse(text, mode=mode)


class FormulaError(TypeError):
    """A formula uses what can't be compiled; the message names its file and line."""


class Reader:
    """A formula: its syntax tree, what its names stand for, where its errors are.

    Parameters
    ----------
    function : callable
        Plain Python function, or one that Numba has wrapped.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        function = getattr(function, "py_func", function)
        if not isinstance(function, types.FunctionType):
            raise FormulaError(f"a formula must be a plain Python function, got {function!r}")
        self.target = function
        self.node = definition(function)
        self.arguments = [a.arg for a in self.node.args.args]

    def statements(self) -> list[ast.stmt]:
        """The body without its docstring."""
        if isinstance(self.node, ast.Lambda):
            return [ast.copy_location(ast.Return(self.node.body), self.node.body)]
        first = self.node.body[0]
        return self.node.body[isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):]

    def error(self, node: ast.AST, what: str) -> FormulaError:
        """Error that names the place in the author's file."""
        code = self.target.__code__
        line = getattr(node, "lineno", code.co_firstlineno)
        return FormulaError(f"{code.co_filename}:{line}: formula '{self.target.__qualname__}' {what}")

    def resolve(self, node: ast.expr) -> Any:
        """What a name or ``module.name`` stands for in the formula."""
        if isinstance(node, ast.Attribute):
            owner = self.resolve(node.value)
            if not isinstance(owner, types.ModuleType):
                raise self.error(node, f"uses '{ast.unparse(node)}'; only attributes of modules can be read")
            value = getattr(owner, node.attr, None)
            if value is None:
                raise self.error(node, f"uses '{ast.unparse(node)}', which does not exist")
            return value
        if not isinstance(node, ast.Name):
            raise self.error(node, f"uses '{ast.unparse(node)}' as a function")
        free = dict(zip(self.target.__code__.co_freevars, self.target.__closure__ or (), strict=True))
        if node.id in free:
            return free[node.id].cell_contents
        if node.id in self.target.__globals__:
            return self.target.__globals__[node.id]
        if node.id in BUILTINS:
            return getattr(builtins, node.id)
        raise self.error(node, f"uses '{node.id}', which is not defined, or not among {', '.join(sorted(BUILTINS))}")

    def defaults(self, node: ast.Call, value: Any) -> list[Any]:
        """Default values of the arguments that a call of another formula leaves out."""
        if not isinstance(value, types.FunctionType):
            return []
        left = list(inspect.signature(value).parameters.values())[len(node.args):]
        if any(p.default is p.empty for p in left):
            raise self.error(node, f"calls {value.__qualname__} with {len(node.args)} arguments; it takes more")
        return [p.default for p in left]


@lru_cache(maxsize=64)
def _parse(text: str) -> ast.Module:
    return cast(ast.Module, parse(text))


def definition(function: types.FunctionType) -> ast.FunctionDef | ast.Lambda:
    """Syntax tree of a function, also of one of several lambdas in a line."""
    code = function.__code__
    try:
        linecache.checkcache(code.co_filename)
        lines, _ = inspect.findsource(function)
        text = "".join(lines)
        tree, unchanged = _parse(text), _unchanged(code, text)
    except (OSError, SyntaxError) as error:
        raise FormulaError(
            f"the source of formula '{function.__qualname__}' can't be read ({error}); "
            "define it in a file or a notebook cell"
        ) from None
    found = []
    for node in ast.walk(tree) if unchanged else ():
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first == code.co_firstlineno:
                return node
        elif isinstance(node, ast.Lambda) and code.co_name == "<lambda>" and _covers(node, code):
            found.append(node)
    if not found:
        raise FormulaError(
            f"{code.co_filename}:{code.co_firstlineno}: the source of formula '{function.__qualname__}' "
            "is not what was compiled; was the file changed after it was imported, or is an old .pyc beside it?"
        )
    return min(found, key=lambda n: ((n.end_lineno or 0) - n.lineno, (n.end_col_offset or 0) - n.col_offset))


@lru_cache(maxsize=64)
def _codes(text: str) -> list[types.CodeType]:
    """Every function of a file as it would be compiled now."""
    with _TREES:
        found = [compile(_parse(text), "", "exec", dont_inherit=True)]
    for code in found:  # grows as it goes
        found += [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return found


def _unchanged(code: types.CodeType, text: str) -> bool:
    """Whether a function's code is still what its file says."""
    def facts(c: types.CodeType) -> tuple[Any, ...]:
        numbers = [k for k in c.co_consts if isinstance(k, (int, float))]
        return c.co_name, c.co_firstlineno, c.co_code, c.co_names, numbers

    return facts(code) in map(facts, _codes(text))


def _covers(node: ast.Lambda, code: types.CodeType) -> bool:
    if [a.arg for a in node.args.args] != list(code.co_varnames[: code.co_argcount]):
        return False
    body = node.body
    start, end = (body.lineno, body.col_offset), (cast(int, body.end_lineno), cast(int, body.end_col_offset))
    places = [p for p in code.co_positions() if None not in p and p[3] != p[2]]
    inside = [p for p in places if (p[0], p[2]) >= start and (p[1], p[3]) <= end]
    # the prologue (RESUME, cells) is placed at the lambda itself
    return len(inside) >= 1 and any((p[0], p[2]) == start or (p[1], p[3]) == end for p in inside)


@cache
def reads(function: Callable[..., Any], argument: int) -> bool:
    """Whether the body of a formula mentions its argument of that position."""
    node = definition(cast(types.FunctionType, getattr(function, "py_func", function)))
    name = node.args.args[argument].arg
    body = [node.body] if isinstance(node, ast.Lambda) else node.body
    return any(isinstance(n, ast.Name) and n.id == name for part in body for n in ast.walk(part))
