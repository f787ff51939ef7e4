"""Calls of a network's kernels, block after block, from other compiled code.

The kernels are called by their addresses in this process, and so are buffers: Numba therefore does not
keep on disk what it is inlined into, and says so to who asks it to.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numbanet.cpu.inlined import checked, define
from numbanet.cpu.jacobian import Jacobian
from numbanet.cpu.jit import inline
from numbanet.cpu.memory import aligned, resident, view, writable
from numbanet.cpu.predictor import Predictor
from numbanet.cpu.threads import atomic_swap, give_way

LINE = 8  # integers of a cache line


@inline
def borrow(taken):
    """Number of a buffer that is now the caller's; waits for one."""
    while True:
        for slot in range(taken.size // LINE):
            if atomic_swap(taken, slot * LINE, 1) == 0:
                return slot
        give_way()


@inline
def give_back(taken, slot):
    """Let others have a buffer."""
    atomic_swap(taken, slot * LINE, 0)


def _names(owner: Predictor | Jacobian, buffers: int) -> tuple[dict[str, Any], str]:
    """What the text refers to, and the arguments of the kernel behind those of the caller."""
    names: dict[str, Any] = {
        "view": view, "writable": writable, "borrow": borrow, "give_back": give_back, "owner": owner,
        "like": np.zeros(1, owner.type), "taken": resident(np.zeros(buffers * LINE, np.int64)),
        "pool": resident(aligned(buffers * owner.size, owner.type)),
    }  # fmt: skip
    arguments = []
    for k, value in enumerate(owner.plan):
        if isinstance(value, np.ndarray):
            names[f"plan{k}"] = resident(value)
        arguments.append(f"plan{k}()" if isinstance(value, np.ndarray) else str(value))
    return names, ", ".join(arguments)


def embed(name: str, x: str, kernel: Any, owner: Predictor | Jacobian, outputs: int, buffers: int) -> Any:
    """``name(params, x, out)``, which borrows one of the buffers and runs a kernel; ``X`` stands for samples."""
    names, plan = _names(owner, buffers)
    text = f"""def {name}(params, {x}, out):
    samples = {"len(X)" if x == "X" else "1"}
    params, {x}, out = as_vector_like(params, like), as_vector_like({x}, like), as_vector_like(writable(out), like)
{checked(name, owner.graph, outputs, x)}    slot = borrow(taken())
    work = view(pool(), slot * {owner.size}, {owner.size})
    try:
        finite = kernel(params, work, {x}, samples, out, {plan})
    finally:
        give_back(taken(), slot)
    if not finite:
        raise ValueError("{name}: {x} holds NaN or infinity")
"""
    return define(name, text, kernel=kernel, **names)
