"""Where the formulas of a saved model come from, and whether those at hand are the same."""

from __future__ import annotations

import ast
import hashlib
import re
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from numbanet._discovery import canonical
from numbanet._source import FormulaError, Reader
from numbanet.registry import KINDS, LAYER, Entry, entries, failures
from numbanet.spec import Plugin
from numbanet.tensors import FormatError, damaged

SKIPPED = {"ctx", "type_comment", "type_params", "kind", "returns", "annotation", "decorator_list"}
LIBRARIES = {"numpy", "scipy", *sys.stdlib_module_names}  # what they compute is known by name
NAME, VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"), re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,99}")


def origin(kind: str, spec: Plugin, extra: Mapping[str, Any]) -> Entry | None:
    """What offers a spec, apart from its parameters.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    spec : Plugin
        As a layer has it.
    extra : mapping of str to object
        Fields that a user sets beside the parameters.

    Returns
    -------
    Entry or None
        None where it was made on the spot.
    """
    for other, entry in entries():
        own = entry.spec
        if (other, own.name, list(own.params)) != (kind, spec.name, list(spec.params)):
            continue
        if replace(own, params=spec.params, **extra) == spec:
            return entry
    return None


def requirements(packed: Any) -> dict[str, Any]:
    """Distributions that a description needs beside numbanet.

    Parameters
    ----------
    packed : object
        Lists and dicts, in which a formula is a dict with its kind, name and distribution.

    Returns
    -------
    dict of str to dict
        Version, and fingerprint of each formula, by distribution.
    """
    found: dict[str, Any] = {}
    wanted = set(_formulas(packed))
    for kind, entry in entries():
        if (entry.distribution, kind, entry.spec.name) in wanted:
            own = found.setdefault(entry.distribution, {"version": entry.version, "formulas": {}})
            own["formulas"][f"{kind}:{entry.spec.name}"] = fingerprint(entry.spec)
    return found


def check_requirements(plugins: Any, packed: Any) -> None:
    """Compare what a file needs with what is installed; warn of another version whose formulas are the same.

    Parameters
    ----------
    plugins : object
        As from `requirements`.
    packed : object
        The description.

    Raises
    ------
    FormatError
        If a plugin is missing, or a formula is another.
    """
    if not isinstance(plugins, dict):
        raise damaged(f"its list of plugins is {type(plugins).__name__}")
    listed = {(name, *key.split(":", 1)) for name, key in _listed(plugins)}
    for distribution, kind, name in _formulas(packed):
        if (distribution, kind, name) not in listed:
            raise damaged(f"{kind} {name!r} of {distribution!r} is not in its list of plugins")
    for distribution, needed in plugins.items():
        _compare(distribution, needed)


def _compare(distribution: str, needed: dict[str, Any]) -> None:
    version, advice = needed["version"], f"pip install {distribution}=={needed['version']}, if you trust it"
    own = {f"{kind}:{entry.spec.name}": entry for kind, entry in entries()
           if canonical(entry.distribution) == canonical(distribution)}  # fmt: skip
    for plugin, error in failures():
        if canonical(plugin.distribution) == canonical(distribution) and not own:
            raise FormatError(f"it needs the plugin {distribution} {version}, which can't be loaded here: {error}")
    if not own:
        raise FormatError(f"it needs the plugin {distribution} {version}, which is not installed or switched off: "
                          f"{advice}")  # fmt: skip
    for key, expected in needed["formulas"].items():
        what = key.replace(":", " ", 1)
        if key not in own:
            there = next(iter(own.values()))
            raise FormatError(f"it needs {what} of {distribution} {version}, and {there} has none: {advice}")
        if fingerprint(own[key].spec) != expected:
            raise FormatError(f"{what} of {own[key]} is another formula than that of {distribution} {version}, with "
                              f"which the model was saved: {advice}")  # fmt: skip
    there = next(iter(own.values()))
    if there.version != version:
        warnings.warn(
            f"the model was saved with {distribution} {version}, and {there} has the same formulas; for that very "
            f"version: {advice}", RuntimeWarning, stacklevel=5,
        )  # fmt: skip


def _listed(plugins: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Distributions and formulas of a list, once it has the right form: names end up in advice to install them."""
    for distribution, needed in plugins.items():
        if not isinstance(needed, dict) or set(needed) != {"version", "formulas"}:
            raise damaged(f"plugin {distribution!r} is not described by version and formulas")
        version, formulas = needed["version"], needed["formulas"]
        if not NAME.fullmatch(distribution) or not isinstance(version, str) or not VERSION.fullmatch(version):
            raise damaged(f"{distribution!r} {version!r} is no name and version of a distribution")
        if not isinstance(formulas, dict) or not all(key.partition(":")[0] in (*KINDS, LAYER) for key in formulas):
            raise damaged(f"the formulas of plugin {distribution!r} are not named 'kind:name'")
        yield from ((distribution, key) for key in formulas if ":" in key)


def _formulas(packed: Any) -> Iterator[tuple[str, str, str]]:
    """Distribution, kind and name of each formula, or class of layers, in a description that is not numbanet's own."""
    waiting = [packed]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if "distribution" in part and "class" in part:
                yield str(part["distribution"]), LAYER, str(part["class"])
            elif "distribution" in part and "kind" in part:
                yield str(part["distribution"]), str(part["kind"]), str(part.get("name"))
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


# -- fingerprints -----------------------------------------------------------------------


def fingerprint(spec: Plugin) -> str:
    """Hash of what a plugin computes: its formulas with all that they call, and its settings but for parameters.

    Comments, docstrings, annotations and layout don't count, nor does the version of Python. Of a layer it is the name
    of its class: what its kernels compute is for a file's sample rows to show.

    Parameters
    ----------
    spec : Plugin
        Any.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    parts = [type(spec).__name__, *spec.params]
    for field in fields(spec):
        value = getattr(spec, field.name)
        if field.name not in ("name", "params", "bounds", "finite", "idempotent"):  # the last are for checks
            parts.append(f"{field.name}={_formula(value, ()) if callable(value) else repr(value)}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _formula(function: Callable[..., Any], outer: tuple[Any, ...]) -> str:
    function = getattr(function, "py_func", function)
    place = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__name__)}"
    if function in outer:  # calls itself
        return place
    try:
        return _Text(function, outer).text()
    except FormulaError:  # not written in Python, or in no file
        return place


class _Text(Reader):
    """Text of a formula in which only what it computes counts."""

    def __init__(self, function: Callable[..., Any], outer: tuple[Any, ...]) -> None:
        super().__init__(function)
        self.outer = (*outer, self.target)
        names = (node for node in ast.walk(self.node) if isinstance(node, ast.Name))
        self.local = {*self.arguments, *(node.id for node in names if isinstance(node.ctx, ast.Store))}

    def text(self) -> str:
        head = f"({','.join(self.arguments)}){self.target.__defaults__}"
        return head + self.write(self.statements())

    def write(self, node: Any) -> str:
        if isinstance(node, list):
            return f"[{','.join(map(self.write, node))}]"
        if not isinstance(node, ast.AST):
            return repr(node)
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self.named(node)
        inner = (self.write(value) for name, value in ast.iter_fields(node) if name not in SKIPPED)
        return f"{type(node).__name__}({','.join(inner)})"

    def named(self, node: ast.Name | ast.Attribute) -> str:
        """A name: what it stands for where that is a number or a formula."""
        root: ast.expr = node
        while isinstance(root, ast.Attribute):
            root = root.value
        plain = ast.unparse(node)
        if not isinstance(root, ast.Name) or root.id in self.local:
            inner = f"{self.write(node.value)}." if isinstance(node, ast.Attribute) else ""
            return f"{inner}{node.attr if isinstance(node, ast.Attribute) else node.id}"
        try:
            value = self.resolve(node)
        except FormulaError:
            return plain
        value = getattr(value, "py_func", value)  # a helper may be compiled
        if isinstance(value, types.FunctionType) and (value.__module__ or "").partition(".")[0] not in LIBRARIES:
            return _formula(value, self.outer)
        if isinstance(value, types.BuiltinFunctionType):  # by whatever name it was imported
            return f"{value.__module__}.{value.__qualname__}"
        return repr(float(value)) if isinstance(value, (bool, int, float)) else plain
