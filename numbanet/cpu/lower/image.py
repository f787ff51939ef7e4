"""Images: padding, convolution, pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numbanet.cpu import conv, image
from numbanet.cpu.lower.normalize import channel_gradient
from numbanet.graph import Node, Window

if TYPE_CHECKING:
    from numbanet.cpu.program import Program


def _window(node: Node) -> Window:
    assert node.window is not None
    return node.window


def pad_forward(program: Program, node: Node) -> None:
    """x amid a margin."""
    at = program.number(node.settings)
    program.passes.add(
        image.pad, program.place(node.input), program.place(node.output), *node.input.shape, *node.margin,
        *node.output.shape[:2], at,
    )  # fmt: skip


def pad_backward(program: Program, node: Node) -> None:
    """What lies within the margin."""
    program.passes.add(
        image.crop, program.slope(node.input), program.slope(node.output), *node.input.shape, *node.margin,
        *node.output.shape[:2],
    )  # fmt: skip


def convolution_forward(program: Program, node: Node) -> None:
    """z = W * x + b."""
    weights, (_, width, channels), window = node.parameters[0], node.input.shape, _window(node)
    rows, columns, units = node.output.shape
    bias, step = -1, 0
    if len(node.parameters) > 1:
        bias, step = node.parameters[1].offset, units if node.parameters[1].size > units else 0
    program.passes.add(
        conv.forward, weights.offset, program.place(node.input), program.place(node.output), width, channels,
        *window.size, *window.strides, *window.dilation, rows, columns, units, bias, step, program.product,
    )  # fmt: skip


def convolution_backward(program: Program, node: Node) -> None:
    """dx, unless nothing before has parameters; dW and db."""
    weights, (height, width, channels), window = node.parameters[0], node.input.shape, _window(node)
    rows, columns, units = node.output.shape
    slope = program.slope(node.output)
    if node is not program.first:
        program.passes.add(
            conv.backward, weights.offset, slope, program.slope(node.input), width, channels, *window.size,
            *window.strides, *window.dilation, rows, columns, units, height, program.product,
        )  # fmt: skip
    program.gradients.add(
        conv.gradient, weights.offset, weights.size // units, units, program.place(node.input), slope, width, channels,
        *window.size, *window.strides, *window.dilation, rows, columns,
    )  # fmt: skip
    if len(node.parameters) > 1:
        bias = node.parameters[1]
        channel_gradient(program, bias, slope, node.output.size // bias.size)


def _pooling(node: Node) -> tuple[int, ...]:
    """Integers that every kernel of pooling takes."""
    window, (_, width, channels) = _window(node), node.input.shape
    return width, channels, *window.size, *window.strides, *node.output.shape[:2]


def _share(program: Program, node: Node) -> int:
    """Where a formula's parameters hold the part of a window that one element is."""
    high, wide = _window(node).size
    return program.number({"share": 1 / (high * wide)})


def max_pool_forward(program: Program, node: Node) -> None:
    """The largest of each window."""
    program.passes.add(image.max_pool, program.place(node.input), program.place(node.output), *_pooling(node))


def max_pool_backward(program: Program, node: Node) -> None:
    """To the first of the largest."""
    program.passes.add(
        image.max_pool_backward, program.place(node.input), program.place(node.output), *_pooling(node),
        program.slope(node.input), program.slope(node.output), node.input.size,
    )  # fmt: skip


def average_pool_forward(program: Program, node: Node) -> None:
    """The mean of each window."""
    program.passes.add(
        image.average_pool, program.place(node.input), program.place(node.output), *_pooling(node),
        _share(program, node),
    )  # fmt: skip


def average_pool_backward(program: Program, node: Node) -> None:
    """An equal part to each of the window."""
    program.passes.add(
        image.average_pool_backward, program.slope(node.input), program.slope(node.output), *_pooling(node),
        node.input.size, _share(program, node),
    )  # fmt: skip
