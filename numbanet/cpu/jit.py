"""The one way to compile: flags, disk cache, and calls through addresses.

Every kernel of a kind has the same signature, so that the driver calls kernels it has never
seen: it is compiled once, whatever the model.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import config, types
from numba.core import cgutils
from numba.core.caching import FunctionCache
from numba.core.errors import NumbaError
from numba.extending import intrinsic

from numbanet._source import FormulaError

log = logging.getLogger("numbanet.kernels")

# NaN and infinity keep their meaning; sums may be reordered, so that they vectorise. Not arcp and afn:
# LLVM then estimates quotients and roots where a loop's remainder is scalar, and bits depend on where it is
FAST = {"nsz", "contract", "reassoc"}
# no division check, which would stop vectorisation; no memory management, as nothing is allocated
# and the atomic reference counts of views cost as much as a small network's step
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": FAST, "_nrt": False}


@cache
def fingerprint() -> str:
    """Hash of every source a kernel may have inlined: Numba itself looks at one file only."""
    import numbanet

    here = Path(__file__).parent
    digest = hashlib.sha256(f"{numbanet.__version__} {numba.__version__} {config.BOUNDSCHECK}".encode())
    shared = (here.parent / name for name in ("math.py", "_polynomials.py", "formula.py", "_rewriter.py", "_source.py"))
    for path in sorted([*here.glob("*.py"), *shared]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def _sources(module: str, file: str) -> str:
    """Hash of the file, and of the package, of a plugin's kernel, which may have inlined what another file defines."""
    package = getattr(sys.modules.get(module.partition(".")[0]), "__path__", ())
    files = {Path(file), *(path for folder in package for path in Path(folder).rglob("*.py"))}
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files) if path.is_file())).hexdigest()


class _KernelCache(FunctionCache):
    def _index_key(self, sig: Any, codegen: Any) -> Any:
        key, module = super()._index_key(sig, codegen), self._py_func.__module__
        if module.startswith("numbanet."):
            return *key, fingerprint()
        return *key, fingerprint(), _sources(module, self._py_func.__code__.co_filename)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel at first use, or load it from the disk cache; it releases the GIL."""
    if config.DISABLE_JIT:
        return np.errstate(all="ignore")(function)  # numbers wrap and overflow silently, as compiled
    dispatcher = numba.njit(nogil=True, no_cfunc_wrapper=True, **OPTIONS)(function)
    with contextlib.suppress(RuntimeError):  # no folder can be written: compile anew in each process
        dispatcher._cache = _KernelCache(function)
    return dispatcher


inline = numba.njit(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, **OPTIONS)


@cache
def signatures(dtype: str) -> tuple[Any, Any, Any]:
    """Signatures of the kernels for a pass, a gradient and an update.

    ``pass_(params, hyper, work, op, base, stride, blocks, lanes)`` runs forward or backward
    over blocks of lanes whose values start at ``work[base + i * stride]``.
    ``gradient(grads, at, work, op, base, stride, blocks, lanes, first, last, accumulate, ahead)``
    writes or adds the gradients of a parameter's rows ``first`` to ``last`` to ``grads[at:]``;
    ``ahead`` is a stack of what to fetch meanwhile.
    ``update(params, grads, at, states, hyper, op, step, first, last)`` changes ``params`` in
    ``first`` to ``last`` or their gradients, which start at ``grads[at]``; ``step`` holds the
    numbers of the optimiser's step.
    """
    real = getattr(types, dtype)[::1]
    op, i = types.int64[::1], types.intp
    return (
        types.void(real, real, real, op, i, i, i, i),
        types.void(real, i, real, op, i, i, i, i, i, i, i, types.int64[::1]),
        types.void(real, real, i, real, real, op, real, i, i),
    )


_PLAIN: list[Callable[..., Any]] = []  # what addresses stand for where nothing is compiled


_addresses: dict[tuple[Any, int], int] = {}  # by the signature's identity: to hash one takes as long as a small step


def address(function: Any, signature: Any) -> int:
    """Address by which `invoke` calls a kernel; signatures are those of `signatures`, which live on.

    It is remembered, so that a forked child asks LLVM for nothing: another thread of the parent may
    have held LLVM's lock, which nobody would ever release.
    """
    if config.DISABLE_JIT:
        if function not in _PLAIN:
            _PLAIN.append(function)
        return _PLAIN.index(function)
    key = function, id(signature)
    if key not in _addresses:
        try:
            result = function.get_compile_result(signature)
        except NumbaError as error:
            raise _explained(function.py_func, error) from None
        _addresses[key] = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
    return _addresses[key]


def _explained(function: Any, error: NumbaError) -> Exception:
    """What Numba says about a generated kernel, as an error in the author's file."""
    log.debug("%s", error)
    file = re.escape(Path(function.__code__.co_filename).name)
    lines = [int(a or b) for a, b in re.findall(rf'{file}(?: \((\d+)\)|", line (\d+))', str(error))]
    place = next((function.places[n] for n in lines if n in getattr(function, "places", ())), None)
    if place is None:
        return error
    said = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("Failed in")]
    reason = re.sub(r"( for '\$\S+')?,? defined at .*", "", said[0]) if said else type(error).__name__
    return FormulaError(f"{place} can't be compiled: {reason}")


def code(function: Any, signature: Any) -> str:
    """What LLVM makes of a kernel; compiled anew, for nothing can be told of one from the disk cache."""
    fresh = numba.njit(nogil=True, no_cfunc_wrapper=True, **OPTIONS)(function.py_func)
    fresh.compile(signature)
    return fresh.inspect_llvm(signature.args)


if config.DISABLE_JIT:

    def invoke(address: int, *args: Any) -> None:
        """Call a kernel by its address."""
        _PLAIN[address](*args)

else:

    @intrinsic
    def invoke(typing, address, *args):  # type: ignore[no-untyped-def,misc]
        """Call a kernel by its address; an exception in it goes on in the caller."""
        arguments = args[0] if len(args) == 1 and isinstance(args[0], types.BaseTuple) else args
        signature = types.void(types.int64, types.StarArgTuple(arguments))

        def codegen(context, builder, sig, values):
            kinds = list(sig.args[1])
            unpacked = cgutils.unpack_tuple(builder, values[1])
            kind = context.call_conv.get_function_type(types.none, kinds)
            function = builder.inttoptr(values[0], kind.as_pointer())
            status, _ = context.call_conv.call_function(builder, function, types.none, kinds, unpacked)
            with cgutils.if_unlikely(builder, status.is_error):
                context.call_conv.return_status_propagate(builder, status)
            return context.get_dummy_value()

        return signature, codegen
