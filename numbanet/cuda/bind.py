"""Functions of the CPU's, and of this package, as functions of the device."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np

from numbanet.cpu import jit, memory
from numbanet.cpu.rebind import rebind, twin
from numbanet.cuda import driver, images, intrinsics, order, slots, steps, sums, target

HERE = (driver, images, order, sums, steps)


def on_the_device(value: Any) -> Any:
    """What stands there for a function of the CPU's, or None."""
    ours = (
        (memory.view, intrinsics.view), (memory.grid, intrinsics.grid), (memory.words, intrinsics.words),
        (jit.invoke, intrinsics.product), (np.sqrt, intrinsics.root),
    )  # fmt: skip
    for here, there in ours:
        if value is here:
            return there
    name = twin(value)
    return None if name is None else intrinsics.twin(name)


class Namespace:
    """Names that kernels of one launch share: this package's functions, with its slots filled in.

    Parameters
    ----------
    fill : dict of str to object
        What becomes of slots.
    """

    def __init__(self, **fill: Any) -> None:
        self.names: dict[str, Any] = {}
        self._known: dict[Any, Any] = {}
        own: dict[str, Callable[..., Any]] = {}
        for module in HERE:
            for name, value in vars(module).items():
                if getattr(value, "__module__", None) == module.__name__ and isinstance(value, types.FunctionType):
                    own[name] = value
                elif not name.startswith("__"):
                    self.names[name] = self.device(value) if hasattr(value, "py_func") else value
        self.names.update(fill)
        for name, function in own.items():
            copy = types.FunctionType(function.__code__, self.names, name, function.__defaults__)
            self.names[name] = target.device(copy)

    def device(self, function: Any) -> Any:
        """A kernel, or a function that it calls, of the CPU's."""
        if getattr(function, "__module__", "") == intrinsics.__name__:
            return function
        return rebind(function, on_the_device, target.device, self._known, every=True)

    def define(self, text: str) -> None:
        """Functions of a text."""
        before = set(self.names)
        exec(compile(text, "<numbanet.cuda>", "exec"), self.names)
        for name in set(self.names) - before | {n for n in vars(slots) if n in self.names}:
            value = self.names[name]
            if isinstance(value, types.FunctionType) and value.__code__.co_filename == "<numbanet.cuda>":
                self.names[name] = target.device(value)


