"""One formula's syntax tree in the working type; `numbanet.formula` puts the text together."""

from __future__ import annotations

import ast
import copy
import functools
import math
import re
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from numbanet._flow import returns, unassigned
from numbanet._source import BUILTINS, Reader, parse

if TYPE_CHECKING:
    from numbanet.formula import Translator


class Rewriter(Reader, ast.NodeTransformer):
    def __init__(self, owner: Translator, function: Callable[..., Any], rows: tuple[int, ...]) -> None:
        super().__init__(function)
        self.owner = owner
        self.node = copy.deepcopy(self.node)  # it is rewritten in place
        self.rows = {self.arguments[i] for i in rows}
        self.loops: set[str] = set()
        self.locals: dict[str, int] = {}
        self.integer = False

    # -- the whole function -------------------------------------------------------------

    def places(self, written: ast.FunctionDef, text: str) -> dict[int, str]:
        """The author's file and line, and the formula, by the lines of the text that became of its statements."""
        file, name = self.target.__code__.co_filename, self.target.__qualname__
        trees = written, parse(text).body[0]
        before, after = ([n for n in ast.walk(tree) if isinstance(n, ast.stmt)] for tree in trees)
        return {new.lineno: f"{file}:{old.lineno}: formula '{name}'" for old, new in zip(before, after, strict=True)}

    def function(self, name: str) -> ast.FunctionDef:
        """The function under another name."""
        body = self.statements()
        for statement in body:
            for node in ast.walk(statement):
                if isinstance(node, ast.For) and isinstance(node.target, ast.Name):
                    self.loops.add(node.target.id)
        for statement in body:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id not in self.loops:
                    self.locals.setdefault(node.id, len(self.locals))
        missing = unassigned(body, self.arguments)  # said last: what can't be compiled may hide what assigns it
        arguments = [self.own(name) for name in self.arguments]
        if self.rows:
            # a row formula may overwrite its scalar parameters, which all lanes share
            clash = sorted(set(self.locals) & set(self.arguments))
            if clash:
                raise self.error(body[0], f"assigns to its argument '{clash[0]}'; use a name of its own")
            arguments += ["_scratch", "_result", "_lanes"]
            for node in (n for s in body for n in ast.walk(s) if isinstance(n, ast.Return) and n is not body[-1]):
                raise self.error(node, "returns early; in a row formula return comes last")
            body = self.strip(body)
        else:
            body = [self.visit(s) for s in body]
            if not returns(body):
                raise self.error(self.node, "may end without returning a value")
        if missing is not None:
            raise self.error(missing, f"may use '{missing.id}' before it has a value")
        node = cast(ast.FunctionDef, parse(f"def {name}({', '.join(arguments)}): pass").body[0])
        node.body = body or [ast.Pass()]
        node.lineno = self.node.lineno
        return ast.fix_missing_locations(node)

    def strip(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """Loops over j stay outside; runs of other statements become loops over the lanes."""
        out: list[ast.stmt] = []
        run: list[ast.stmt] = []

        def close() -> None:
            if run:
                loop = ast.copy_location(parse("for _i in range(_lanes): pass").body[0], run[0])
                cast(ast.For, loop).body = run.copy()
                out.append(loop)
                run.clear()

        for statement in body:
            if isinstance(statement, ast.For):
                close()
                out.append(self.loop(statement, self.strip))
            elif any(isinstance(n, (ast.For, ast.While)) for n in ast.walk(statement)):
                raise self.error(statement, "has a loop inside an if; a row formula may not")
            else:
                run.append(self.visit(statement))
        close()
        return out

    def loop(self, node: ast.For, inside: Callable[[list[ast.stmt]], list[ast.stmt]]) -> ast.For:
        """A loop over a range, its variable an integer."""
        if node.orelse:
            raise self.error(node, "has an else behind a loop; write it without")
        call = node.iter if isinstance(node.iter, ast.Call) else None
        if not isinstance(node.target, ast.Name) or call is None or ast.unparse(call.func) != "range":
            over = ast.unparse(node.iter if call is None else call.func)
            raise self.error(node, f"loops over '{over}'; write it as in 'for j in range(len(x))'")
        outer, self.integer = self.integer, True
        target, steps = self.visit(node.target), self.visit(node.iter)
        self.integer = outer
        return ast.copy_location(ast.For(target, steps, inside(node.body), []), node)

    def visit_For(self, node: ast.For) -> ast.AST:
        return self.loop(node, lambda body: [self.visit(s) for s in body])

    def own(self, name: str) -> str:
        """A name of the formula's own, out of the way of the names that the text itself needs."""
        return f"{name}_" if name in _TAKEN or re.fullmatch(r"formula_\d+|\w+_f(32|64)", name) else name

    # -- statements and expressions -----------------------------------------------------

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if not isinstance(node, _ALLOWED):
            raise self.error(node, f"uses {type(node).__name__}, which a formula can't; see the contract of formulas")
        return super().generic_visit(node)

    def visit_Return(self, node: ast.Return) -> ast.AST:
        if not self.rows:
            return self.generic_visit(node)
        if node.value is None:
            return ast.Pass()
        cell = ast.Subscript(ast.Name("_result", ast.Load()), ast.Name("_i", ast.Load()), ast.Store())
        return ast.Assign([cell], self.visit(node.value), lineno=node.lineno)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            raise self.error(node, f"declares '{ast.unparse(node.target)}' without a value")
        return self.visit(ast.copy_location(ast.Assign([node.target], node.value), node))

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, bool) or (self.integer and isinstance(node.value, int)):
            return node
        if isinstance(node.value, (int, float)):
            return self.number(node.value)
        raise self.error(node, f"uses the literal {node.value!r}; only numbers can be compiled")

    def number(self, value: float) -> ast.AST:
        value = float(value)
        if math.isfinite(value):
            return self.cast(ast.Constant(value))
        special = self.cast(ast.Name("nan" if math.isnan(value) else "inf", ast.Load()))
        return ast.UnaryOp(ast.USub(), special) if value < 0 else special

    def cast(self, node: ast.expr) -> ast.expr:
        return ast.Call(ast.Name("T", ast.Load()), [node], [])

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if isinstance(node.op, ast.Pow) and _is_small_integer(node.right):
            return ast.BinOp(self.visit(node.left), node.op, node.right)  # becomes multiplications
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if not (isinstance(node.value, ast.Name) and node.value.id in self.rows):
            raise self.error(node, f"indexes '{ast.unparse(node.value)}', which is not a row")
        outer, self.integer = self.integer, True
        index = self.visit(node.slice)
        self.integer = outer
        row = ast.Name(self.own(node.value.id), ast.Load())
        return ast.Subscript(row, ast.Tuple([index, ast.Name("_i", ast.Load())], ast.Load()), node.ctx)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if node.keywords:
            raise self.error(node, f"calls {ast.unparse(node.func)} with keyword arguments; pass them by position")
        value = self.resolve(node.func)
        if value in (len, range):
            outer, self.integer = self.integer, True
            arguments = [self.length(a) if value is len else self.visit(a) for a in node.args]
            self.integer = outer
            if value is len:
                return arguments[0] if self.integer else self.cast(arguments[0])
            return ast.Call(node.func, arguments, [])
        arguments = [self.visit(a) for a in node.args]
        if value in (float, int, bool):
            inner = arguments[0] if value is float else ast.Call(node.func, arguments, [])
            return inner if self.integer else self.cast(inner)
        if value is pow and len(arguments) == 2:
            return self.visit_BinOp(ast.copy_location(ast.BinOp(node.args[0], ast.Pow(), node.args[1]), node))
        if isinstance(value, types.BuiltinFunctionType) and value in (abs, min, max):
            if value is abs or self.integer or len(arguments) < 2:
                return ast.Call(ast.Name(value.__name__, ast.Load()), arguments, [])
            choose = ast.Name(self.twin(node, value.__name__), ast.Load())
            return functools.reduce(lambda a, b: ast.Call(choose, [a, b], []), arguments)
        arguments += [self.constant(node, default) for default in self.defaults(node, value)]
        return ast.Call(ast.Name(self.callee(node, value), ast.Load()), arguments, [])

    def length(self, node: ast.expr) -> ast.expr:
        if not (isinstance(node, ast.Name) and node.id in self.rows):
            raise self.error(node, f"takes the length of '{ast.unparse(node)}', which is not a row")
        return parse(f"{self.own(node.id)}.shape[0]", mode="eval").body

    def callee(self, node: ast.AST, value: Any) -> str:
        own = getattr(value, "__name__", "")
        if own and getattr(math, own, None) is value:
            return self.twin(node, own)
        if isinstance(getattr(value, "py_func", value), types.FunctionType):
            return self.owner.scalar(value)
        raise self.error(node, f"calls {value!r}; use math.*, abs, min, max or another formula")

    def twin(self, node: ast.AST, name: str) -> str:
        try:
            twin = self.owner.twin(name, self.owner.dtype)
        except ValueError as error:
            raise self.error(node, f"calls math.{name}: {error}") from None
        self.owner.source.imports.add(twin)
        return twin

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return self.constant(node, self.resolve(node))

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self.rows:
            raise self.error(node, f"uses the row '{node.id}' as a number; index it, as in {node.id}[j]")
        if self.integer and node.id not in self.loops and node.id in {*self.locals, *self.arguments}:
            raise self.error(node, f"counts with '{node.id}', which is not an integer; use len() and loop variables")
        if node.id in self.locals and self.rows:
            place = ast.Tuple([ast.Constant(self.locals[node.id]), ast.Name("_i", ast.Load())], ast.Load())
            return ast.Subscript(ast.Name("_scratch", ast.Load()), place, node.ctx)
        if node.id in self.loops:
            variable = ast.Name(self.own(node.id), node.ctx)
            return variable if self.integer else self.cast(variable)
        if node.id in self.locals or node.id in self.arguments:
            return ast.Name(self.own(node.id), node.ctx)
        return self.constant(node, self.resolve(node))

    def constant(self, node: ast.expr, value: Any) -> ast.AST:
        if isinstance(value, (bool, np.bool_)):
            return ast.Constant(bool(value))
        if isinstance(value, (int, float, np.integer, np.floating)):
            return ast.Constant(int(value)) if self.integer else self.number(float(value))
        raise self.error(node, f"uses '{ast.unparse(node)}', a {type(value).__name__}; only numbers can be captured")


def _is_small_integer(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value < 64


_TAKEN = {"T", "inf", "nan", "_i", "_scratch", "_result", "_lanes", *BUILTINS}
_ALLOWED = (
    ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.If, ast.For, ast.Pass, ast.Expr, ast.IfExp, ast.BinOp,
    ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.Name, ast.Constant, ast.Tuple, ast.Subscript, ast.Attribute,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context,
)  # fmt: skip
