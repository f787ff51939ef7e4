"""Which plugins are installed and wanted, and importing them whatever they do."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from importlib import metadata
from typing import Any, NamedTuple

GROUP = "numbanet"
DISABLED, ONLY, STRICT = "NUMBANET_PLUGINS_DISABLED", "NUMBANET_LOAD_PLUGINS", "NUMBANET_STRICT_PLUGINS"
SECONDS = 30.0  # after which a plugin that is still being imported is left out


class Found(NamedTuple):
    """An entry point of a plugin."""

    name: str
    distribution: str
    version: str
    point: metadata.EntryPoint

    def __str__(self) -> str:
        return f"plugin '{self.name}' of {self.distribution} {self.version}"

    def load(self, begun: Callable[[int], None]) -> Any:
        """Import it in a thread, of which ``begun`` is told, for an import may never end."""
        outcome: list[Any] = []

        def work() -> None:
            begun(threading.get_ident())
            try:
                outcome.extend((self.point.load(), None))
            except BaseException as error:  # SystemExit too: a plugin must not end the program
                outcome.extend((None, error))

        thread = threading.Thread(target=work, name=f"numbanet imports {self.name}", daemon=True)
        thread.start()
        thread.join(SECONDS)
        if not outcome:
            raise TimeoutError(f"its import has not ended after {SECONDS:g} s")
        module, error = outcome
        if error is not None:
            raise error
        return module


def wanted() -> list[Found]:
    """Plugins to be loaded: all that are installed, unless the environment says otherwise."""
    disabled, only = _names(DISABLED), _names(ONLY)
    found = []
    for point in metadata.entry_points(group=GROUP):
        distribution, version = (point.dist.name, point.dist.version) if point.dist else ("unknown", "unknown")
        called = {canonical(point.name), canonical(distribution)}
        if not called & disabled and (ONLY not in os.environ or called & only):
            found.append(Found(point.name, distribution, version, point))
    return found


def strict() -> bool:
    """Whether a plugin that fails is an error rather than a warning."""
    return os.environ.get(STRICT, "0") not in ("", "0")


def canonical(name: str) -> str:
    """Name of a distribution as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _names(variable: str) -> set[str]:
    return {canonical(name.strip()) for name in os.environ.get(variable, "").split(",") if name.strip()}
