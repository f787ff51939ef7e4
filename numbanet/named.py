"""Specs by name: ``nn.activation("leaky_relu", alpha=0.1)``."""

from __future__ import annotations

from typing import Any

from numbanet.registry import KINDS, get

_DOC = """{title} of a name, with parameters replaced.

Parameters
----------
name : str or {title}
    Name in the registry, or an object, which is taken as it is.
**params : float
    Parameters to replace.

Returns
-------
{title}
    As it is taken wherever the name is.

Raises
------
ValueError
    If the name is unknown.
TypeError
    If a parameter is unknown or not a number.
"""


def _lookup(kind: str) -> Any:
    def lookup(name: Any, **params: float) -> Any:
        return get(kind, name, **params)

    lookup.__name__ = lookup.__qualname__ = kind
    lookup.__doc__ = _DOC.format(title=KINDS[kind].__name__)
    return lookup


activation = _lookup("activation")
initializer = _lookup("initializer")
loss = _lookup("loss")
metric = _lookup("metric")
optimizer = _lookup("optimizer")
regularizer = _lookup("regularizer")
schedule = _lookup("schedule")
