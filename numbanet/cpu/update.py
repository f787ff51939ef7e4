"""Kernels that change gradients and parameters, generated around optimisers and regularizers."""

from __future__ import annotations

from functools import cache
from typing import Any

from numbanet.cpu.generate import compile_text, parameters, translator
from numbanet.cpu.jit import kernel
from numbanet.cpu.memory import view
from numbanet.spec import Formula

_HEAD = "@kernel\ndef {}(params, grads, at, states, hyper, op, step, first, last):\n"
_VIEWS = """    w = view(params, first, last - first)
    g = view(grads, at, last - first)
"""


@cache
def optimizer(function: Formula, states: int, coefficients: int, count: int, rate: int, dtype: str) -> Any:
    """Kernel of one step; op: hyper. ``step`` holds the learning rate, then the coefficients.

    The learning rate is parameter number ``rate``; it follows the schedule.
    """
    formulas = translator(dtype)
    name = formulas.scalar(function)
    read, names = parameters(count, "op[1]")
    read += f"    p{rate} = step[0]\n"
    kept = [f"s{i}" for i in range(states)]
    views = "".join(f"    s{i} = view(states, {i} * params.size + first, last - first)\n" for i in range(states))
    shared = [f"c{i}" for i in range(coefficients)]
    reads = "".join(f"    c{i} = step[{i + 1}]\n" for i in range(coefficients))
    before = ", ".join(["w[i]", "g[i]", *(f"{s}[i]" for s in kept), *shared, *names])
    after = ", ".join(["w_new", *(f"{s}_new" for s in kept)])
    stores = "".join(f"        {s}[i] = {s}_new\n" for s in ["w", *kept])
    body = f"""{_HEAD.format("optimizer")}{read}{reads}{_VIEWS}{views}    for i in range(last - first):
        {after} = {name}({before})
{stores}"""
    return compile_text("optimizer", formulas, body)


@cache
def penalty_gradient(function: Formula, count: int, dtype: str) -> Any:
    """Kernel that adds d penalty / dw to the gradient; op: hyper. ``step`` ends with the penalty's weight."""
    formulas = translator(dtype)
    name = formulas.scalar(function)
    read, names = parameters(count, "op[1]")
    body = f"""{_HEAD.format("penalty_gradient")}{read}{_VIEWS}    weight = step[step.size - 1]
    for i in range(last - first):
        g[i] += weight * {name}({", ".join(["w[i]", *names])})
"""
    return compile_text("penalty_gradient", formulas, body)


@cache
def penalty(function: Formula, count: int, dtype: str) -> Any:
    """Kernel that adds the penalties of the weights to ``grads[at]``; op: hyper. ``step`` ends with their weight."""
    formulas = translator(dtype)
    name = formulas.scalar(function)
    read, names = parameters(count, "op[1]")
    body = f"""{_HEAD.format("penalty")}{read}    w = view(params, first, last - first)
    total = T(0)
    for i in range(last - first):
        total += {name}({", ".join(["w[i]", *names])})
    grads[at] += step[step.size - 1] * total
"""
    return compile_text("penalty", formulas, body)


@cache
def projection(function: Formula, count: int, dtype: str) -> tuple[Any, int]:
    """Kernel that projects the weights entering units ``first`` to ``last``.

    Op: hyper, weights, inputs, units. A unit's weights are a column, so the units are the lanes.
    """
    formulas = translator(dtype)
    name, scratch = formulas.row(function, 1)
    read, names = parameters(count, "op[1]")
    body = f"""{_HEAD.format("projection")}{read}    w = grid(params, op[2], op[3], op[4])[:, first:last]
    scratch = grid(grads, first * {scratch}, {scratch}, last - first)
    {name}({", ".join(["w", *names])}, scratch, scratch, last - first)
"""
    return compile_text("projection", formulas, body), scratch


@kernel
def clip(params, grads, at, states, hyper, op, step, first, last):
    """Limit each element of the gradient; op: hyper."""
    limit = hyper[op[1]]
    g = view(grads, at, last - first)
    for i in range(last - first):
        g[i] = min(max(g[i], -limit), limit)


@kernel
def mask(params, grads, at, states, hyper, op, step, first, last):
    """Keep the gradient at 0 where there is no connection; op: hyper, first, last, weights, elements of the mask."""
    for i in range(first, last):
        grads[at + i - first] *= hyper[op[1] + (i - op[4]) % op[5]]


@kernel
def average(params, grads, at, states, hyper, op, step, first, last):
    """Move running averages towards what a step has measured, which stands for a gradient; op: hyper."""
    for i in range(last - first):
        params[first + i] += hyper[op[1]] * (grads[at + i] - params[first + i])


@cache
def coefficients(
    function: Formula | None, count: int, rate: int, results: int, schedule: Formula | None, extra: int
) -> Any:
    """``coefficients(table, first, since, factor, hyper)``: each step's learning rate and coefficients.

    The schedule counts from ``first``, the optimiser from ``since``. ``hyper`` holds the optimiser's
    parameters, then the schedule's. All is computed in float64.
    """
    formulas = translator("float64")
    names = [f"hyper[{i}]" for i in range(count)]
    course = [f"hyper[{count + i}]" for i in range(extra)]
    base = names[rate]
    if schedule is not None:
        base = f"{formulas.scalar(schedule)}({', '.join(['T(first + s)', base, *course])})"
    names[rate] = "rate"
    body = f"""@kernel
def coefficients(table, first, since, factor, hyper):
    for s in range(table.shape[0]):
        rate = factor * {base}
        table[s, 0] = rate
"""
    if function is not None:
        left = "".join(f"table[s, {i + 1}], " for i in range(results))
        body += f"        {left}= {formulas.scalar(function)}({', '.join(['T(since + s + 1)', *names])})\n"
    return compile_text("coefficients", formulas, body)
