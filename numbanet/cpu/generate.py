"""Kernels around formulas: the text is generated, written where Numba's cache finds it, compiled.

The name of the file holds a hash of the text, so a changed formula is another kernel, and the
same formula in another process is a hit.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import tempfile
import types
from functools import cache
from pathlib import Path
from typing import Any

from numba import config

from numbanet import math as simd
from numbanet._cache import user_cache
from numbanet.cpu.jit import fingerprint, inline, kernel
from numbanet.cpu.memory import grid, view
from numbanet.formula import Translator

log = logging.getLogger("numbanet.kernels")

_compiled: dict[str, Any] = {}


@cache
def folder() -> Path:
    """Where generated kernels are kept; ``NUMBA_CACHE_DIR`` moves it."""
    base = Path(os.environ["NUMBA_CACHE_DIR"]) if "NUMBA_CACHE_DIR" in os.environ else user_cache()
    path = base / "numbanet" / fingerprint()[:16]
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError:  # a read-only home: compile anew in each process
        return Path(tempfile.mkdtemp(prefix="numbanet-"))


@cache
def known_types() -> set[str]:
    """Working types whose kernels have been compiled on this machine."""
    if config.DISABLE_JIT:
        return {"float32", "float64"}
    return {path.name.removeprefix("compiled-") for path in folder().glob("compiled-*")}


def remember_type(dtype: str) -> None:
    """Note that kernels of a working type have been compiled."""
    (folder() / f"compiled-{dtype}").touch()
    known_types().add(dtype)


def translator(dtype: str) -> Translator:
    """Translator of formulas to this backend's functions."""
    return Translator(dtype, simd.twin)


def compile_text(name: str, formulas: Translator, body: str, **names: Any) -> Any:
    """Kernel ``name`` defined in ``body``, which calls the translated formulas, and what ``names`` gives it."""
    text = formulas.text() + "\n\n" + body
    key = f"{name}_{hashlib.sha256(text.encode()).hexdigest()[:24]}"
    if key not in _compiled:
        path = folder() / f"{key}.py"
        log.debug("kernel %s\n%s", path, text)
        if not path.exists():
            handle, temporary = tempfile.mkstemp(dir=path.parent)
            with open(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(temporary, path)
        # a module of its own, by whose name Numba finds the kernel's globals again
        module = sys.modules[f"numbanet.kernels.{key}"] = types.ModuleType(f"numbanet.kernels.{key}")
        module.__dict__.update(__file__=str(path), inline=inline, kernel=kernel, grid=grid, view=view, **names)
        exec(compile(text, str(path), "exec"), module.__dict__)
        _compiled[key] = getattr(module, name)
        getattr(_compiled[key], "py_func", _compiled[key]).places = formulas.places()  # for what Numba says about it
    return _compiled[key]


def parameters(count: int, start: str) -> tuple[str, list[str]]:
    """Statements that read a formula's parameters, indented once, and the names they get."""
    names = [f"p{i}" for i in range(count)]
    return "".join(f"    {name} = hyper[{start} + {i}]\n" for i, name in enumerate(names)), names
