"""A network for one sample as one function, to be inlined into other compiled code.

The operations are those of `Program`, and the kernels too; but each is called by name with constants,
so that LLVM works out everything that does not depend on the sample.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np
from numba import config

from numbanet.cpu.jit import OPTIONS, inline, invoke
from numbanet.cpu.lanes import all_finite
from numbanet.cpu.memory import as_vector, as_vector_like, resident, stack, writable
from numbanet.cpu.program import Program
from numbanet.cpu.rebind import plain, rebind
from numbanet.cpu.strip import one_lane
from numbanet.graph import Graph

PRODUCTS = 1 << 18  # multiplications next to which calling kernels costs nothing
# Numba tells what a function on disk was made of by its own code, not by that of the networks it calls: what holds an
# address of this process it does not keep
ALIVE = resident(np.ones(1, np.int64))
SIDE = 4  # outputs whose derivatives are worked out side by side
STACK = 1 << 17  # bytes that a network may take of a thread's stack; some systems give no more than 512 KiB


def define(name: str, body: str, **names: Any) -> Any:
    """The function of a name that a text defines, to be inlined."""
    names.update(
        as_vector=as_vector, as_vector_like=as_vector_like, writable=writable, stack=stack, all_finite=all_finite,
        alive=ALIVE,
    )  # fmt: skip
    exec(body, names)
    if config.DISABLE_JIT:
        return np.errstate(all="ignore")(names[name])
    return numba.njit(forceinline=True, nogil=True, **OPTIONS)(names[name])


def checked(name: str, graph: Graph, outputs: int, x: str = "x") -> str:
    """Statements that refuse arrays of other sizes, and indices that are none; ``X`` stands for samples."""
    samples, each = ("samples * ", ", for each sample") if x == "X" else ("", "")
    text = f"""    if params.size != {graph.size}:
        raise ValueError("{name}: params must have {graph.size} elements, as model.parameters has")
    if {x}.size != {samples}{graph.input.size} or out.size != {samples}{outputs}:
        raise ValueError("{name}: {x} must have {graph.input.size} elements and out {outputs}{each}")
"""
    if graph.vocabulary:
        text += f"""    for i in range({x}.size):
        if not 0 <= {x}[i] < {graph.vocabulary} or {x}[i] != int({x}[i]):
            raise ValueError("{name}: {x} must hold indices, whole numbers from 0 to {graph.vocabulary - 1}")
"""
    return text


def side(program: Program) -> int:
    """Outputs whose derivatives are worked out side by side; 1 where there are no derivatives."""
    if not program.slopes:
        return 1
    return max(n for n in range(1, SIDE + 1) if program.graph.output.size % n == 0)


def worthwhile(program: Program) -> bool:
    """Whether inlining pays: calls matter, a thread's stack is large enough, and LLVM is soon done."""
    nodes = program.graph.nodes
    if any(node.kind == "convolution" for node in nodes) or sum(node.products for node in nodes) > PRODUCTS:
        return False
    return side(program) * program.rows * np.dtype(program.dtype).itemsize <= STACK


def _begin(name: str, program: Program, outputs: int, blocks: int = 1) -> str:
    """Statements that check the arrays and put the sample where operations look for it."""
    graph, row = program.graph, program.place(program.graph.input)
    value = "(x[i] - mean[i]) * factor[i]" if program.scales.inputs else "x[i]"  # in x's type: few digits may be left
    return f"""def {name}(params, x, out):
    params, x, out = as_vector_like(params, hyper), as_vector(x), as_vector(writable(out))
{checked(name, graph, outputs)}    if alive()[0] == 0:
        raise RuntimeError("numbanet's functions are not for other processes")
    work = stack(params, {program.rows * blocks})
    for i in range({graph.input.size}):
        work[{row} + i] = {value}
    if not all_finite(work, {row}, {graph.input.size}):
        raise ValueError("{name}: x holds NaN or infinity")
"""


def predict(program: Program) -> Any:
    """``predict(params, x, out)``."""
    units = program.graph.output.size
    names, forward = _calls(program, 0, len(program.passes.rows), "    ")
    text = f"""{_begin("predict", program, units)}{forward}    for u in range({units}):
        out[u] = work[{program.output_row} + u]
"""
    return define("predict", text, **names)


def jacobian(program: Program) -> Any:
    """``jacobian(params, x, out)``, with ``out`` (outputs, inputs).

    Back for a few outputs at a time, each in a block of its own: one alone would mostly wait for itself.
    """
    units, features, rows = program.graph.output.size, program.graph.input.size, program.rows
    seed, result = program.slope(program.graph.output), program.slope(program.graph.input)
    blocks = side(program)
    there, forward = _calls(program, 0, program.forward_rows, "    ")
    back, backward = _calls(program, program.forward_rows, len(program.passes.rows), "        ", blocks)
    text = f"""{_begin("jacobian", program, units * features, blocks)}{forward}    for block in range(1, {blocks}):
        for i in range({rows}):
            work[block * {rows} + i] = work[i]
    for first in range(0, {units}, {blocks}):
        for block in range({blocks}):
            for u in range({units}):
                work[block * {rows} + {seed} + u] = 1 if u == first + block else 0
{backward}        for block in range({blocks}):
            for i in range({features}):
                out[(first + block) * {features} + i] = work[block * {rows} + {result} + i]
"""
    return define("jacobian", text, **there | back)


@inline
def _product(
    address, a, ao, a_row, a_k, a_block, b, bo, b_k, b_block, b_strip,
    c, co, c_row, c_strip, rows, depth, blocks, width, strips, accumulate, ahead,
):  # fmt: skip
    """What stands for the call of `dense.product` by its address."""
    for i in range(strips):
        one_lane(
            a, ao, a_row, a_k, a_block, b, bo + i * b_strip, b_block, c, co + i * c_strip,
            rows, depth, blocks, accumulate,
        )  # fmt: skip


def _calls(program: Program, first: int, last: int, indent: str, blocks: int = 1) -> tuple[dict[str, Any], str]:
    """Statements that run operations on blocks of one lane, and what their names stand for."""
    names: dict[str, Any] = {"hyper": np.array(program.hyper or [0.0], program.dtype)}
    if program.scales.inputs:
        names["mean"], names["factor"] = program.scales.inputs
        first = max(first, 1)  # inputs have been scaled as they were read
    text = ""
    for k in range(first, last):
        names[f"kernel{k}"] = _inlined(program.passes.kernels[k])
        names[f"op{k}"] = np.array(program.integers(k), np.int64)
        text += f"{indent}kernel{k}(params, hyper, work, op{k}, 0, {program.rows}, {blocks}, 1)\n"
    return names, text


_known: dict[Any, Any] = {}  # kernels that call a matrix product, and what is inlined in their place


@cache
def _inlined(kernel: Any) -> Any:
    """A kernel to be inlined, whose matrix products are those for one lane."""
    bound = rebind(kernel, lambda value: _product if value is invoke else None, _compile, _known)
    return bound if bound is not kernel else _compile(plain(kernel))


def _compile(function: Any) -> Any:
    return np.errstate(all="ignore")(function) if config.DISABLE_JIT else inline(function)
