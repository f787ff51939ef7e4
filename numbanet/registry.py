"""Finds what plugins offer, by name; explains what cannot be found or loaded.

Nothing is imported before the first name is asked for. The built-ins and the entry points of the
group ``numbanet`` come through the same hooks; a plugin that fails is left out with a warning.
"""

from __future__ import annotations

import difflib
import importlib
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import pluggy

import numbanet
from numbanet import _discovery, hookspecs
from numbanet._discovery import Found, canonical
from numbanet.spec import Activation, Initializer, Loss, Metric, Optimizer, Plugin, Regularizer, Schedule

KINDS: dict[str, type[Plugin]] = {
    "activation": Activation,
    "loss": Loss,
    "regularizer": Regularizer,
    "optimizer": Optimizer,
    "schedule": Schedule,
    "initializer": Initializer,
    "metric": Metric,
}
LAYER = "layer"  # its names stand for classes, which only files ask for
HOOKS = {f"numbanet_{'losses' if kind == 'loss' else kind + 's'}": kind for kind in (*KINDS, LAYER)}
OURS = "numbanet"


@dataclass(frozen=True)
class LayerClass(Plugin):
    """A class of layers under its name."""

    layer: Any = None


class Entry(NamedTuple):
    """A spec and the distribution that brought it."""

    spec: Plugin
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


class Failure(NamedTuple):
    """A plugin that is left out, and why."""

    plugin: Found
    error: str


class Registry:
    """Names of all kinds, filled at first use."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._ready = False
        self._manager: pluggy.PluginManager | None = None
        self._entries: dict[str, dict[str, list[Entry]]] = {kind: {} for kind in HOOKS.values()}
        self._failures: list[Failure] = []
        self._importer = 0  # thread that imports a plugin, which may ask for names meanwhile

    def get(self, kind: str, value: Any, /, **params: float) -> Any:
        """Spec of a kind: an object as it is, or the one of that name.

        Parameters
        ----------
        kind : str
            One of `KINDS`.
        value : str or Plugin
            A name, ``"distribution:name"``, or an object of the dataclass of this kind.
        **params : float
            Parameters to replace.

        Returns
        -------
        Plugin
            Object of the dataclass of this kind.

        Raises
        ------
        TypeError
            If the value is neither a str nor of the right dataclass, or a parameter is unknown.
        ValueError
            If the name is unknown, or offered by several distributions.
        """
        expected = KINDS[kind]
        if isinstance(value, str):
            spec = self._find(kind, value).spec
        elif isinstance(value, expected):
            spec = value
        else:
            found = f"{type(value).__name__} {getattr(value, 'name', value)!r}"
            raise TypeError(f"expected the name of the {kind} or a numbanet.{expected.__name__}, got {found}")
        return spec.with_params(**params) if params else spec

    def layer(self, name: str) -> type:
        """Class of layers of a plugin, by its name or ``"distribution:name"``."""
        return cast(LayerClass, self._find(LAYER, name).spec).layer

    def origin_of_layer(self, layer: type) -> Entry | None:
        """Where a class of layers comes from; None if no plugin offers it."""
        found = (e for kind, e in self.entries() if kind == LAYER and cast(LayerClass, e.spec).layer is layer)
        return next(found, None)

    def names(self, kind: str) -> list[str]:
        """Known names of a kind, sorted."""
        self._load()
        return sorted(self._entries[kind])

    def entry(self, kind: str, name: str) -> Entry:
        """What a name stands for, and where it comes from."""
        return self._find(kind, name)

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """All that is offered, by kind and name."""
        self._load()
        yield from self._all()

    def _all(self) -> Iterator[tuple[str, Entry]]:
        for kind, names in self._entries.items():
            for name in sorted(names):
                yield from ((kind, entry) for entry in names[name])

    def failures(self) -> list[Failure]:
        """Plugins that are left out."""
        self._load()
        return list(self._failures)

    def _find(self, kind: str, name: str) -> Entry:
        self._load()
        distribution, _, plain = name.rpartition(":")
        entries = self._entries[kind].get(plain, [])
        if distribution:
            entries = [e for e in entries if canonical(e.distribution) == canonical(distribution)]
        if not entries:
            raise ValueError(self._unknown(kind, name))
        if len(entries) > 1 and entries[0].distribution != OURS:
            raise ValueError(
                f"{kind} '{name}' is offered by {' and by '.join(map(str, entries))}; "
                f"choose one, as in '{entries[0].distribution}:{plain}', or uninstall the other")
        return entries[0]

    def _unknown(self, kind: str, name: str) -> str:
        known = self.names(kind)
        close = difflib.get_close_matches(name.lower(), known, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        return f"unknown {kind} '{name}'; {hint}Known: {', '.join(known) or 'none'}"

    def _load(self) -> None:
        if self._ready or threading.get_ident() == self._importer:
            return
        problems: list[str] = []
        with self._lock:
            if self._manager is not None:  # another thread has just finished, or a plugin asks while it loads
                return
            self._manager = pluggy.PluginManager(hookspecs.PROJECT)
            self._manager.add_hookspecs(hookspecs)
            try:
                problems += self._fill()
            except BaseException:  # Ctrl-C, say: the next call begins anew
                self._manager, self._entries, self._failures = None, {kind: {} for kind in HOOKS.values()}, []
                raise
            self._ready = True
        for problem in problems:
            warnings.warn(problem, RuntimeWarning, stacklevel=4)

    def _fill(self) -> list[str]:
        """Load the built-ins and the plugins; return what went wrong, each time a sentence."""
        problems = []
        for hook in (hook for hook, kind in HOOKS.items() if kind in KINDS):
            module = importlib.import_module(f"numbanet.builtins.{hook.removeprefix('numbanet_')}")
            self._add(module, OURS, numbanet.__version__)
        for found in _discovery.wanted():
            try:
                problems += self._add(found.load(self._importing), found.distribution, found.version)
            except (Exception, SystemExit) as error:  # whatever a plugin does wrong, numbanet works on
                reason = f"{type(error).__name__}: {error}"
                if _discovery.strict():
                    raise RuntimeError(f"{found} can't be loaded: {reason}") from error
                self._failures.append(Failure(found, reason))
                problems.append(f"{found} is left out: {reason} ({_discovery.DISABLED}={found.name} switches it off)")
        return problems

    def _importing(self, thread: int) -> None:
        self._importer = thread

    def _add(self, plugin: Any, distribution: str, version: str) -> list[str]:
        """Take over all that a plugin offers, or nothing; return what its author should know."""
        manager = cast(pluggy.PluginManager, self._manager)
        version_of_api = getattr(plugin, "NUMBANET_API", hookspecs.API)
        if type(version_of_api) is not int:
            raise TypeError(f"NUMBANET_API must be a whole number, as {hookspecs.API} is, got {version_of_api!r}")
        if version_of_api != hookspecs.API:
            older = "numbanet" if version_of_api > hookspecs.API else "the plugin"
            raise ImportError(
                f"it was written for version {version_of_api} of the plugin interface, and this numbanet has "
                f"{hookspecs.API}; upgrade {older}")
        try:
            manager.register(plugin)
            _check_hooks(manager, plugin)
            manager.check_pending()
            found = [(kind, Entry(spec, distribution, version)) for kind, spec in self._offers(plugin)]
            if not found:
                raise ValueError("it offers nothing; mark its hooks with @numbanet.hookimpl")
            self._check_once(found)
        except Exception:
            if manager.is_registered(plugin):  # else its misspelt hooks would be blamed on the next one
                manager.unregister(plugin)
            raise
        shadowed = []
        for kind, entry in found:
            name = entry.spec.name
            entries = self._entries[kind].setdefault(name, [])
            entries.append(entry)
            if entries[0].distribution == OURS != distribution:
                shadowed.append(f"{kind} '{name}' of {entry} does not replace the built-in one; "
                                f"ask for '{distribution}:{name}'")
        return shadowed

    def _check_once(self, found: list[tuple[str, Entry]]) -> None:
        """A distribution may give a name once: its own name in front tells nothing apart."""
        seen = {(kind, e.spec.name, e.distribution) for kind, e in self._all()}
        for kind, entry in found:
            key = kind, entry.spec.name, entry.distribution
            if key in seen:
                raise ValueError(f"it offers the {kind} '{entry.spec.name}' twice; give each a name of its own")
            seen.add(key)

    def _offers(self, plugin: Any) -> Iterator[tuple[str, Plugin]]:
        manager = cast(pluggy.PluginManager, self._manager)
        for caller in manager.get_hookcallers(plugin) or ():
            kind = HOOKS[caller.name]
            for hook in (cast(Any, impl.function) for impl in caller.get_hookimpls() if impl.plugin is plugin):
                for spec in hook():
                    if kind == LAYER:
                        yield kind, _layer_class(spec)
                        continue
                    if not isinstance(spec, KINDS[kind]):
                        raise TypeError(f"{caller.name} must give {KINDS[kind].__name__} objects, got {spec!r}")
                    yield kind, spec


def _check_hooks(manager: pluggy.PluginManager, plugin: Any) -> None:
    """Name the hook that a misspelt one was meant to be."""
    for caller in manager.get_hookcallers(plugin) or ():
        if caller.name not in HOOKS:
            close = difflib.get_close_matches(caller.name, HOOKS, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            raise ValueError(f"unknown hook '{caller.name}'; {hint}Known: {', '.join(HOOKS)}")


def _layer_class(found: Any) -> LayerClass:
    layer = importlib.import_module("numbanet.layers").Layer  # which asks for names itself, hence not above
    if not (isinstance(found, type) and issubclass(found, layer)):
        raise TypeError(f"numbanet_layers must give subclasses of numbanet.Layer, got {found!r}")
    return LayerClass(found.__name__, layer=found)


_registry = Registry()
get = _registry.get
layer = _registry.layer
origin_of_layer = _registry.origin_of_layer
names = _registry.names
entries = _registry.entries
entry = _registry.entry
failures = _registry.failures
