"""What plugins offer, and which are left out, as a table."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

from numbanet._discovery import canonical
from numbanet._source import FormulaError
from numbanet.registry import KINDS, LAYER, entries, failures, names
from numbanet.spec import Plugin

DERIVABLE = ("activation", "loss", "regularizer")


def _formulas(spec: Plugin) -> list[Any]:
    """Functions that a plugin consists of."""
    return [value for field in fields(spec) if callable(value := getattr(spec, field.name))]


def _file(spec: Plugin) -> str:
    try:
        return inspect.getsourcefile(_formulas(spec)[0]) or ""
    except (IndexError, TypeError):
        return ""


def _derivable(spec: Any) -> bool:
    try:
        return spec.slope is not None
    except FormulaError:
        return False


def offered(name: str) -> list[tuple[str, str]]:
    """Kinds and full names of what has a name, or comes from the distribution of that name.

    Parameters
    ----------
    name : str
        A name, ``"distribution:name"``, or a distribution.

    Returns
    -------
    list of tuple of str
        Kind, and ``"distribution:name"``. Layers are not among them: they are made with arguments.
    """
    return [
        (kind, f"{entry.distribution}:{entry.spec.name}")
        for kind, entry in entries()
        if kind in KINDS
        and (name in (entry.spec.name, f"{entry.distribution}:{entry.spec.name}")
             or canonical(name) == canonical(entry.distribution))
    ]


def nothing(name: str) -> str:
    """Why there is nothing to check under a name."""
    if name in names(LAYER):
        return f"'{name}' is a layer, made with arguments that only its own tests know; the checks are of formulas"
    return f"no plugin offers '{name}', and no distribution of that name offers anything to check"


def rows(name: str | None = None) -> list[dict[str, Any]]:
    """One for each name that is offered, then one for each plugin that is left out.

    Parameters
    ----------
    name : str, optional
        Only what has this name.

    Returns
    -------
    list of dict
        With "kind", "name", "distribution", "version", "file", "derivative" ("given", "derived" or "none"; empty where
        the kind has none) and "error".
    """
    table = []
    for kind, entry in entries():
        spec = entry.spec
        derivative = ""
        if kind in DERIVABLE and getattr(spec, "penalty", True) is not None:
            given = getattr(spec, "derivative", None) is not None or (kind == "loss" and getattr(spec, "row", False))
            derivative = "given" if given else "derived" if _derivable(spec) else "none"
        table.append({
            "kind": kind, "name": spec.name, "distribution": entry.distribution, "version": entry.version,
            "file": _file(spec), "derivative": derivative, "error": "",
        })  # fmt: skip
    for plugin, error in failures():
        table.append({
            "kind": "", "name": plugin.name, "distribution": plugin.distribution, "version": plugin.version,
            "file": "", "derivative": "", "error": error,
        })  # fmt: skip
    return [row for row in table if name in (None, row["name"])]
