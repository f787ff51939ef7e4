"""Kernels of activations and losses, generated around their formulas."""

from __future__ import annotations

from functools import cache
from typing import Any

from numbanet._source import FormulaError, reads
from numbanet.cpu.generate import compile_text, parameters, translator
from numbanet.cpu.jit import kernel
from numbanet.cpu.memory import grid, view
from numbanet.spec import Activation, Formula, Loss

_BLOCKS = """    for block in range(blocks):
        at = base + block * stride
"""


def in_place(activation: Activation) -> bool:
    """Whether the output may overwrite the input: the derivative needs the output alone."""
    if activation.row:
        return False
    try:
        derivative = activation.derivative or activation.slope
    except FormulaError:  # none, which is for training to say: predictions need none
        return False
    return derivative is not None and not reads(derivative, 0)


def _arguments(*parts: Any) -> str:
    return ", ".join(name for part in parts for name in ([part] if isinstance(part, str) else part))


@cache
def forward(function: Formula, row: bool, inplace: bool, count: int, dtype: str) -> tuple[Any, int]:
    """Kernel y = f(x) and its rows of scratch; op: x, y, units, hyper, scratch."""
    formulas = translator(dtype)
    read, names = parameters(count, "op[4]")
    head = f"@kernel\ndef forward{'_rows' * row}(params, hyper, work, op, base, stride, blocks, lanes):\n" + read
    if row:
        name, scratch = formulas.row(function, 2)
        body = f"""{head}{_BLOCKS}        x = grid(work, at + op[1] * lanes, op[3], lanes)
        y = grid(work, at + op[2] * lanes, op[3], lanes)
        scratch = grid(work, at + op[5] * lanes, {scratch}, lanes)
        {name}({_arguments("x", "y", names)}, scratch, scratch, lanes)
"""
        return compile_text("forward_rows", formulas, body), scratch
    name = formulas.scalar(function)
    source = "" if inplace else "        x = view(work, at + op[1] * lanes, op[3] * lanes)\n"
    body = f"""{head}{_BLOCKS}        y = view(work, at + op[2] * lanes, op[3] * lanes)
{source}        for i in range(op[3] * lanes):
            y[i] = {name}({_arguments("y[i]" if inplace else "x[i]", names)})
"""
    return compile_text("forward", formulas, body), 0


@cache
def backward(function: Formula, row: bool, inplace: bool, count: int, dtype: str) -> tuple[Any, int]:
    """Kernel that turns d/dy into d/dx in place; op: x, y, units, hyper, scratch, gradient."""
    formulas = translator(dtype)
    read, names = parameters(count, "op[4]")
    head = f"@kernel\ndef backward{'_rows' * row}(params, hyper, work, op, base, stride, blocks, lanes):\n" + read
    if row:
        name, scratch = formulas.row(function, 3)
        body = f"""{head}{_BLOCKS}        x = grid(work, at + op[1] * lanes, op[3], lanes)
        y = grid(work, at + op[2] * lanes, op[3], lanes)
        gradient = grid(work, at + op[6] * lanes, op[3], lanes)
        scratch = grid(work, at + op[5] * lanes, {scratch}, lanes)
        {name}({_arguments("x", "y", "gradient", names)}, scratch, scratch, lanes)
"""
        return compile_text("backward_rows", formulas, body), scratch
    name = formulas.scalar(function)
    source = "" if inplace else "        x = view(work, at + op[1] * lanes, op[3] * lanes)\n"
    body = f"""{head}{_BLOCKS}        y = view(work, at + op[2] * lanes, op[3] * lanes)
        gradient = view(work, at + op[6] * lanes, op[3] * lanes)
{source}        for i in range(op[3] * lanes):
            gradient[i] *= {name}({_arguments("y[i]" if inplace else "x[i]", "y[i]", names)})
"""
    return compile_text("backward", formulas, body), 0


_LOSS_HEAD = """@kernel
def loss(params, hyper, work, op, base, stride, blocks, lanes):
"""
_LOSS_VIEWS = """        output = grid(work, at + op[1] * lanes, op[6], lanes)
        target = grid(work, at + op[2] * lanes, op[6], lanes)
        gradient = grid(work, at + op[3] * lanes, op[6], lanes)
        weight = view(work, at + op[4] * lanes, lanes)
        total = view(work, at + op[5] * lanes, lanes)
"""


@cache
def loss(function: Formula, derivative: Formula | None, count: int, dtype: str) -> tuple[Any, int]:
    """Kernel of a loss and its gradient, times each lane's weight; a weight of 0 hides what overflows.

    What a condition chooses from is computed before: a condition around a load keeps a loop scalar.
    Op: output, target, gradient, weight, total, outputs, hyper, scratch. ``total`` gets each
    lane's weighted loss.
    """
    formulas = translator(dtype)
    read, names = parameters(count, "op[7]")
    if derivative is None:
        name, scratch = formulas.row(function, 3)
        if "_result[_i] = " not in formulas.text():
            raise FormulaError(f"row loss '{function.__qualname__}' does not return the sample's loss")
        body = f"""{_LOSS_HEAD}{read}{_BLOCKS}{_LOSS_VIEWS}
        scratch = grid(work, at + op[8] * lanes, {scratch}, lanes)
        {name}({_arguments("output", "target", "gradient", names)}, scratch, total, lanes)
        for i in range(lanes):
            part = total[i] * weight[i]
            total[i] = part if weight[i] > T(0) else T(0)
        for j in range(op[6]):
            for i in range(lanes):
                part = gradient[j, i] * weight[i]
                gradient[j, i] = part if weight[i] > T(0) else T(0)
"""
        return compile_text("loss", formulas, body), scratch
    value, slope = formulas.scalar(function), formulas.scalar(derivative)
    pair = _arguments("output[j, i]", "target[j, i]", names)
    body = f"""{_LOSS_HEAD}{read}    share = T(1) / T(op[6])
{_BLOCKS}{_LOSS_VIEWS}        for i in range(lanes):
            total[i] = T(0)
        for j in range(op[6]):
            for i in range(lanes):
                part = weight[i] * share
                lost, slope = {value}({pair}) * part, {slope}({pair}) * part
                total[i] += lost if part > T(0) else T(0)
                gradient[j, i] = slope if part > T(0) else T(0)
"""
    return compile_text("loss", formulas, body), 0


def loss_kernel(plugin: Loss, dtype: str) -> tuple[Any, int]:
    """Kernel of a loss plugin."""
    return loss(plugin.loss, None if plugin.row else plugin.slope, len(plugin.params), dtype)


@kernel
def scale(params, hyper, work, op, base, stride, blocks, lanes):
    """z = (x + before) factor + after for each element.

    Op: x, z, elements, hyper: before (or -1), factor, after (or -1).
    """
    for i in range(blocks):
        x = grid(work, base + i * stride + op[1] * lanes, op[3], lanes)
        z = grid(work, base + i * stride + op[2] * lanes, op[3], lanes)
        for j in range(op[3]):
            factor = hyper[op[5] + j]
            before = hyper[op[4] + j] if op[4] >= 0 else factor - factor
            after = hyper[op[6] + j] if op[6] >= 0 else factor - factor
            for lane in range(lanes):
                z[j, lane] = (x[j, lane] + before) * factor + after


@kernel
def probe(params, hyper, work, op, base, stride, blocks, lanes):
    """Make the loss NaN where a gradient is not finite; op: gradient, total, units."""
    for block in range(blocks):
        at = base + block * stride
        gradient = view(work, at + op[1] * lanes, op[3] * lanes)
        total = view(work, at + op[2] * lanes, lanes)
        zero = bad = gradient[0] - gradient[0]  # a literal 0 would make the sum float64
        for i in range(op[3] * lanes):
            bad += gradient[i] * zero
        total[0] += bad
