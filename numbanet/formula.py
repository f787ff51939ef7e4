"""From a plain Python formula to the source text of kernels in one working type.

A formula is read from its own source. Literals become the working type, ``math.x`` becomes the
backend's twin, helpers are taken along, captured numbers become literals. A row formula (one
that takes whole rows) is turned inside out: each statement becomes a loop over the lanes, so
that softmax, too, is made of contiguous vector loops.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from numbanet._rewriter import Rewriter


@dataclass
class Source:
    """Text of a formula and of what it calls, in one working type."""

    names: dict[Any, tuple[str, int]] = field(default_factory=dict)
    functions: list[str] = field(default_factory=list)
    places: list[dict[int, str]] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)


class Translator:
    """Writes formulas as text for one dtype.

    Parameters
    ----------
    dtype : str
        "float32" or "float64".
    twin : callable
        ``twin(name, dtype)`` names the function that stands for ``math.name``, ``max`` or ``min``.
    """

    def __init__(self, dtype: str, twin: Callable[[str, str], str]) -> None:
        self.dtype, self.twin = dtype, twin
        self.source = Source()

    def scalar(self, function: Callable[..., Any]) -> str:
        """Add a scalar formula; returns the name it has in the text."""
        return self._add(function, ())[0]

    def row(self, function: Callable[..., Any], rows: int) -> tuple[str, int]:
        """Add a row formula whose first ``rows`` arguments are rows.

        Returns
        -------
        name : str
            Function of ``(rows..., params..., scratch, result, lanes)``, with rows of shape ``(n, lanes)``.
        scratch : int
            Rows of scratch it needs.
        """
        return self._add(function, tuple(range(rows)))

    def text(self) -> str:
        """Imports and functions, in the order in which they are needed."""
        return "\n".join([*self._head(), *self.source.functions]) + "\n"

    def places(self) -> dict[int, str]:
        """Where a line of the text comes from: the author's file and line, and the formula."""
        at, found = len(self._head()), {}
        for text, places in zip(self.source.functions, self.source.places, strict=True):
            found.update({at + line: place for line, place in places.items()})
            at += text.count("\n") + 1
        return found

    def _head(self) -> list[str]:
        imports = ", ".join(sorted(self.source.imports))
        return ["from math import inf, nan", f"from numpy import {self.dtype} as T",
                *([f"from numbanet.math import {imports}"] if imports else [])]

    def _add(self, function: Callable[..., Any], rows: Iterable[int]) -> tuple[str, int]:
        function = getattr(function, "py_func", function)
        rows = tuple(rows)
        key = (function, rows)
        if key not in self.source.names:
            rewriter = Rewriter(self, function, rows)
            name = f"formula_{len(self.source.names)}"
            self.source.names[key] = name, 0  # taken before helpers ask for theirs
            written = rewriter.function(name)
            text = "\n@inline\n" + ast.unparse(written)
            self.source.functions.append(text)
            self.source.places.append(rewriter.places(written, text))
            self.source.names[key] = name, len(rewriter.locals) if rows else 0
        return self.source.names[key]
