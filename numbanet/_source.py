"""The syntax tree of a function, read from its own source."""

from __future__ import annotations

import ast
import inspect
import linecache
import types
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, cast


class FormulaError(TypeError):
    """A formula uses what can't be compiled; the message names its file and line."""


@lru_cache(maxsize=64)
def _parse(text: str) -> ast.Module:
    return ast.parse(text)


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
            "is not what was compiled; was the file changed after it was imported?"
        )
    return min(found, key=lambda n: ((n.end_lineno or 0) - n.lineno, (n.end_col_offset or 0) - n.col_offset))


@lru_cache(maxsize=64)
def _codes(text: str) -> list[types.CodeType]:
    """Every function of a file as it would be compiled now."""
    found = [compile(_parse(text), "", "exec", dont_inherit=True)]
    for code in found:  # grows as it goes
        found += [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return found


def _unchanged(code: types.CodeType, text: str) -> bool:
    """Whether a function's code is still what its file says."""
    def facts(c: types.CodeType) -> tuple[Any, ...]:
        return c.co_name, c.co_firstlineno, c.co_code, [k for k in c.co_consts if isinstance(k, (int, float))]

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
