"""From kernels and formulas, plain Python, to C99.

They are few kinds of statements on integers, numbers of one type and arrays; types follow from the
arguments. An array is a struct of a pointer and two lengths, which compilers take apart.
"""

from __future__ import annotations

import ast
import math
import re
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from numbanet._source import FormulaError, Reader
from numbanet.cpu import jit, memory
from numbanet.cpu.rebind import plain, twin

Typed = tuple[str, str]  # an expression in C, and its type: "T", "long", "array" or "ints"
NAMES = {"gamma": "tgamma", "max": "larger", "min": "smaller"}  # of functions that C calls otherwise
OPERATORS = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "/", ast.Mod: "%", ast.BitAnd: "&",
    ast.BitOr: "|", ast.LShift: "<<", ast.RShift: ">>", ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=",
    ast.Gt: ">", ast.GtE: ">=", ast.And: "&&", ast.Or: "||", ast.USub: "-", ast.UAdd: "+", ast.Not: "!",
}  # fmt: skip


class Translator:
    """Functions in C, each followed by those that call it.

    Attributes
    ----------
    text : list of str
        Definitions.
    """

    def __init__(self) -> None:
        self.text: list[str] = []
        self.known: dict[Any, Typed] = {}

    def add(self, function: Callable[..., Any], kinds: tuple[str, ...]) -> Typed:
        """Name and type of result of a function for arguments of these types."""
        function = plain(function)
        key = function, kinds
        if key not in self.known:
            name = f"f{len(self.known)}_{re.sub(r'_?[0-9a-f]{16,}', '', function.__name__).strip('_')}"
            self.known[key] = name, "void"  # taken before those it calls ask for theirs
            self.known[key] = _Function(self, function, name, kinds).define()
        return self.known[key]


class _Function(Reader):
    def __init__(self, owner: Translator, function: types.FunctionType, name: str, kinds: tuple[str, ...]) -> None:
        super().__init__(function)
        self.owner, self.name = owner, name
        self.kinds = dict(zip(self.arguments, kinds, strict=True))
        self.locals: dict[str, str] = {}
        self.variables: dict[str, int] = {}
        self.result = "void"

    def define(self) -> Typed:
        body = "".join(self.statement(s, "    ") for s in self.statements())
        arguments = ", ".join(f"{_c_type(self.kinds[a])} {self.own(a)}" for a in self.arguments)
        blank = {"array": " = {0, 0, 0}"}
        variables = "".join(
            f"    {_c_type(kind)} {self.own(name)}{blank.get(kind, ' = 0')};\n" for name, kind in self.locals.items()
        )
        silent = [*self.arguments, *(name for name, kind in self.locals.items() if kind == "ints")]
        unused = "".join(f"    (void){self.own(a)};\n" for a in silent)  # no warnings of what isn't needed here
        head = f"static inline {_c_type(self.result)} {self.name}({arguments})"
        self.owner.text.append(f"{head}\n{{\n{variables}{unused}{body}}}\n")
        return self.name, self.result

    def own(self, name: str) -> str:
        """A variable's name in C, where many that Python allows are taken, or can't be written."""
        self.variables.setdefault(name, len(self.variables))
        plainly = name if re.fullmatch(r"\w+", name, re.ASCII) else ""
        return f"v{self.variables[name]}_{plainly}".rstrip("_")

    # -- statements ---------------------------------------------------------------------

    def statement(self, node: ast.stmt, indent: str) -> str:
        write = getattr(self, f"write_{type(node).__name__}", None)
        if write is None:
            raise self.refuse(node)
        return str(write(node, indent))

    def block(self, body: list[ast.stmt], indent: str) -> str:
        return "{\n" + "".join(self.statement(s, indent + "    ") for s in body) + indent + "}\n"

    def write_Pass(self, node: ast.Pass, indent: str) -> str:
        return f"{indent};\n"

    def write_Break(self, node: ast.Break, indent: str) -> str:
        return f"{indent}break;\n"

    def write_Continue(self, node: ast.Continue, indent: str) -> str:
        return f"{indent}continue;\n"

    def write_Expr(self, node: ast.Expr, indent: str) -> str:
        return f"{indent}{self.value(node.value)[0]};\n"

    def write_Return(self, node: ast.Return, indent: str) -> str:
        if node.value is None:
            return f"{indent}return;\n"
        text, kind = self.value(node.value)
        self.result = "T" if "T" in (kind, self.result) else kind
        return f"{indent}return {text};\n"

    def write_If(self, node: ast.If, indent: str) -> str:
        text = f"{indent}if ({self.value(node.test)[0]}) {self.block(node.body, indent)}"
        if node.orelse:
            text += f"{indent}else {self.block(node.orelse, indent)}"
        return text

    def write_While(self, node: ast.While, indent: str) -> str:
        if node.orelse:
            raise self.refuse(node)
        return f"{indent}while ({self.value(node.test)[0]}) {self.block(node.body, indent)}"

    def write_For(self, node: ast.For, indent: str) -> str:
        call = node.iter
        if node.orelse or not (
            isinstance(call, ast.Call) and ast.unparse(call.func) == "range" and isinstance(node.target, ast.Name)
        ):
            raise self.refuse(node)
        steps = [self.value(a)[0] for a in call.args]
        start, stop = ("0", steps[0]) if len(steps) == 1 else steps[:2]
        step = steps[2] if len(steps) == 3 else "1"
        self.declare(node, node.target.id, "long")
        i = self.own(node.target.id)
        return f"{indent}for ({i} = {start}; {i} < {stop}; {i} += {step}) {self.block(node.body, indent)}"

    def write_Assign(self, node: ast.Assign, indent: str) -> str:
        *others, target = node.targets
        if isinstance(target, ast.Tuple):
            if others:
                raise self.refuse(node)
            return self.write_tuple(node, target, indent)
        text, kind = self.value(node.value)
        lines = self.store(node, target, text, kind, indent)
        for other in reversed(others):  # total = x = 1
            lines += self.store(node, other, self.value(target)[0], kind, indent)
        return lines

    def write_tuple(self, node: ast.Assign, target: ast.Tuple, indent: str) -> str:
        """``a, b = c, d``, whose right may be a function's tuple."""
        values = self.elements(node.value)
        if len(values) != len(target.elts):
            raise self.refuse(node)
        names = {self.own(n.id) for n in ast.walk(target) if isinstance(n, ast.Name)}
        read = {word for text, _ in values[1:] for word in re.findall(r"[A-Za-z_]\w*", text)}
        lines = ""
        if names & read:  # as where two are swapped
            for k, (text, kind) in enumerate(values):
                name = f"{k} of {kind}"  # no name in Python
                self.declare(node, name, kind)
                lines += f"{indent}{self.own(name)} = {text};\n"
                values[k] = self.own(name), kind
        pairs = zip(target.elts, values, strict=True)
        return lines + "".join(self.store(node, place, text, kind, indent) for place, (text, kind) in pairs)

    def elements(self, node: ast.expr) -> list[Typed]:
        """Expressions of a tuple, also of one that a helper returns."""
        if isinstance(node, ast.Tuple):
            return [self.value(e) for e in node.elts]
        if isinstance(node, ast.Call):
            helper = _Function(
                self.owner, plain(self.resolve(node.func)), "", tuple(self.value(a)[1] for a in node.args)
            )
            body = helper.statements()
            if len(body) == 1 and isinstance(body[0], ast.Return) and isinstance(body[0].value, ast.Tuple):
                given = dict(zip(helper.arguments, node.args, strict=True))
                return [self.value(_Replace(given).visit(e)) for e in body[0].value.elts]
        raise self.refuse(node)

    def write_AugAssign(self, node: ast.AugAssign, indent: str) -> str:
        value = ast.copy_location(ast.BinOp(_load(node.target), node.op, node.value), node)
        return self.store(node, node.target, *self.value(value), indent)

    def store(self, node: ast.stmt, target: ast.expr, text: str, kind: str, indent: str) -> str:
        """Statement that gives a target a value."""
        if isinstance(target, ast.Name):
            self.declare(node, target.id, kind)
            return f"{indent}{self.own(target.id)} = {text};\n"
        if isinstance(target, ast.Subscript):
            if isinstance(target.slice, ast.Slice):
                if target.slice.lower or target.slice.upper or target.slice.step:
                    raise self.refuse(node)
                return f"{indent}fill({self.value(target.value)[0]}, {text});\n"
            return f"{indent}{self.value(_load(target))[0]} = {text};\n"
        raise self.refuse(node)

    def declare(self, node: ast.AST, name: str, kind: str) -> None:
        known = self.kinds.get(name) or self.locals.setdefault(name, kind)
        if known != kind and (known, kind) != ("T", "long"):
            raise self.error(node, f"uses '{name}' as {known} and as {kind}, which C can't")

    # -- expressions --------------------------------------------------------------------

    def value(self, node: ast.expr) -> Typed:
        """An expression and its type."""
        read = getattr(self, f"read_{type(node).__name__}", None)
        if read is None:
            raise self.refuse(node)
        text, kind = read(node)
        return str(text), str(kind)

    def read_Constant(self, node: ast.Constant) -> Typed:
        if isinstance(node.value, (bool, int)):
            return str(int(node.value)), "long"
        if isinstance(node.value, float):
            return f"(T){node.value!r}", "T"
        raise self.refuse(node)

    def read_Name(self, node: ast.Name) -> Typed:
        if node.id in self.kinds or node.id in self.locals:
            return self.own(node.id), self.kinds.get(node.id) or self.locals[node.id]
        value = self.resolve(node)
        if isinstance(value, (bool, int, np.integer)):
            return str(int(value)), "long"
        if isinstance(value, (float, np.floating)):
            special = {np.inf: "(T)INFINITY", -np.inf: "-(T)INFINITY"}
            return special.get(float(value), "(T)NAN" if np.isnan(value) else f"(T){float(value)!r}"), "T"
        raise self.refuse(node)

    def read_Attribute(self, node: ast.Attribute) -> Typed:
        if node.attr == "size":
            text, _ = self.value(node.value)
            return f"({text}.n * {text}.m)", "long"
        return self.read_Name(node)  # type: ignore[arg-type]

    def read_Subscript(self, node: ast.Subscript) -> Typed:
        if isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
            text, _ = self.value(node.value.value)
            axis = node.slice.value if isinstance(node.slice, ast.Constant) else None
            return f"{text}.{'n' if axis == 0 else 'm'}", "long"
        text, kind = self.value(node.value)
        if kind == "ints":
            return f"{text}[{self.value(node.slice)[0]}]", "long"
        if isinstance(node.slice, ast.Tuple):
            row, column = (self.value(e)[0] for e in node.slice.elts)
            return f"{text}.p[({row}) * {text}.m + {column}]", "T"
        return f"{text}.p[{self.value(node.slice)[0]}]", "T"

    def read_UnaryOp(self, node: ast.UnaryOp) -> Typed:
        text, kind = self.value(node.operand)
        return f"{self.operator(node, node.op)}({text})", "long" if isinstance(node.op, ast.Not) else kind

    def read_BinOp(self, node: ast.BinOp) -> Typed:
        (left, a), (right, b) = self.value(node.left), self.value(node.right)
        kind = "long" if a == b == "long" and not isinstance(node.op, ast.Div) else "T"
        if isinstance(node.op, ast.Pow):
            return f"pow((T){left}, (T){right})", "T"
        if kind == "T" and isinstance(node.op, (ast.FloorDiv, ast.Mod)):  # as Python rounds, downwards
            quotient = f"floor((T)({left}) / ({right}))"
            return quotient if isinstance(node.op, ast.FloorDiv) else f"(({left}) - ({right}) * {quotient})", "T"
        left = f"(T)({left})" if kind == "T" and a == "long" else left
        return f"({left} {self.operator(node, node.op)} {right})", kind

    def read_BoolOp(self, node: ast.BoolOp) -> Typed:
        values = [self.value(v) for v in node.values]
        if any(kind == "T" for _, kind in values):  # the operand that decides, not whether it does
            chosen = values[-1][0]
            for text, _ in reversed(values[:-1]):
                yes, no = (chosen, text) if isinstance(node.op, ast.And) else (text, chosen)
                chosen = f"({text} ? {yes} : {no})"
            return chosen, "T"
        return "(" + f" {self.operator(node, node.op)} ".join(self.value(v)[0] for v in node.values) + ")", "long"

    def read_Compare(self, node: ast.Compare) -> Typed:
        terms = [self.value(n)[0] for n in (node.left, *node.comparators)]
        pairs = zip(node.ops, terms[:-1], terms[1:], strict=True)
        return "(" + " && ".join(f"{a} {self.operator(node, op)} {b}" for op, a, b in pairs) + ")", "long"

    def read_IfExp(self, node: ast.IfExp) -> Typed:
        (test, _), (yes, a), (no, b) = self.value(node.test), self.value(node.body), self.value(node.orelse)
        return f"({test} ? {yes} : {no})", "T" if "T" in (a, b) else a

    def read_Call(self, node: ast.Call) -> Typed:
        if node.keywords:
            raise self.refuse(node)
        function = self.resolve(node.func)
        if function in (np.float32, np.float64, float):
            return f"(T)({self.value(node.args[0])[0]})", "T"
        name = str(getattr(function, "__name__", ""))
        if function is jit.invoke:  # of the matrix product; its last argument is of no use in C
            return f"product({', '.join(self.value(a)[0] for a in node.args[1:-1])})", "void"
        arguments = [self.value(a) for a in node.args]
        texts = ", ".join(text for text, _ in arguments)
        if function in (memory.view, memory.grid):
            name = "view" if function is memory.view else "grid"
            return (f"{name}({texts})", "array") if arguments[0][1] == "array" else (arguments[0][0], "ints")
        whole = all(kind == "long" for _, kind in arguments)
        if function in (int, bool):
            return f"({'long' if function is int else '!!'})({texts})", "long"
        if function is len:
            return f"({texts}).n", "long"
        if function in (min, max):
            chosen = arguments[0][0]
            for text, _ in arguments[1:]:
                chosen = f"{NAMES[name]}{'_of_longs' if whole else ''}({chosen}, {text})"
            return chosen, "long" if whole else "T"
        if function is abs:
            return (f"labs({texts})", "long") if whole else (f"fabs({texts})", "T")
        short = twin(function) or (name if function in (getattr(math, name, None), np.sqrt) else "")
        if short:
            if short in ("degrees", "radians"):
                factor = 180 / np.pi if short == "degrees" else np.pi / 180
                return f"(({texts}) * (T){factor!r})", "T"
            logical = short in ("isnan", "isinf", "isfinite")
            cast = ", ".join(f"(T)({text})" for text, _ in arguments)
            return f"{NAMES.get(short, short)}({cast})", "long" if logical else "T"
        name, kind = self.owner.add(function, tuple(k for _, k in arguments))
        return f"{name}({texts})", kind

    # -- errors -------------------------------------------------------------------------

    def operator(self, node: ast.AST, operator: ast.AST) -> str:
        if type(operator) not in OPERATORS:
            raise self.refuse(node)
        return OPERATORS[type(operator)]

    def refuse(self, node: ast.AST) -> FormulaError:
        return self.error(node, f"can't be written in C: {ast.unparse(node)}")


class _Replace(ast.NodeTransformer):
    """Puts the arguments of a call where the helper has their names."""

    def __init__(self, given: dict[str, ast.expr]) -> None:
        self.given = given

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.given.get(node.id, node)


def _load(node: ast.expr) -> ast.expr:
    """A target, to be read."""
    return ast.parse(ast.unparse(node), mode="eval").body


def _c_type(kind: str) -> str:
    return {"ints": "const long *"}.get(kind, kind)
