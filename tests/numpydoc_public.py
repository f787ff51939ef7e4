"""Checks the docstrings of every public name against the numpydoc conventions chosen in pyproject.toml.

Public are the names in ``numbanet.__all__``, those in the ``__all__`` of modules among them, those of
``numbanet.classic``, ``numbanet.export`` and ``numbanet.sklearn``, and the public methods and properties of classes,
inherited ones included where numbanet defines them.
"""

import inspect
import re
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import ModuleType

from numpydoc.validate import get_validation_checks, validate

import numbanet
import numbanet.classic
import numbanet.export
import numbanet.sklearn

ROOT = Path(__file__).resolve().parents[1]


def is_ours(found: object) -> bool:
    """Whether numbanet defines it, rather than Python or a base class from elsewhere."""
    return (getattr(found, "__module__", None) or "").split(".")[0] == "numbanet"


def members(cls: type) -> Iterator[tuple[str, object]]:
    """Public methods and properties; an override without a docstring has the one it overrides."""
    for name in dir(cls):
        found = inspect.getattr_static(cls, name)
        found = getattr(found, "__func__", found)  # class and static methods
        function = found.fget if isinstance(found, property) else found
        if name.startswith("_") or not inspect.isfunction(function) or not is_ours(function):
            continue
        if function.__doc__ or not inspect.getdoc(getattr(cls, name)):
            yield name, function


def public(module: ModuleType) -> Iterator[tuple[str, object]]:
    """Dotted names, with what tells an inherited method from another of its name."""
    for name in module.__all__:
        found, path = getattr(module, name), f"{module.__name__}.{name}"
        if isinstance(found, ModuleType):
            if hasattr(found, "__all__"):
                yield from public(found)
        elif inspect.isclass(found) and is_ours(found):
            yield path, found
            yield from ((f"{path}.{member}", function) for member, function in members(found))
        elif inspect.isroutine(found) and is_ours(found):
            yield path, found


def main() -> int:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["numpydoc_validation"]
    checks = get_validation_checks(set(settings["checks"]))
    excluded = re.compile("|".join(settings["exclude"]))
    seen, wrong = set(), 0
    modules = numbanet, numbanet.classic, numbanet.export, numbanet.sklearn
    for path, found in chain.from_iterable(map(public, modules)):
        if id(found) in seen or excluded.search(path):
            continue
        seen.add(id(found))
        result = validate(path)
        for code, message in result["errors"]:
            if code in checks:
                wrong += 1
                print(f"{Path(result['file']).relative_to(ROOT)}:{result['file_line']}: {path}: {code} {message}")
    print(f"{len(seen)} public names, {wrong} faults in their docstrings")
    if not seen:
        print("numbanet.__all__ names nothing to check")
    return 1 if wrong or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
