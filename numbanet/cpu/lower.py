"""Which operations a node becomes: each kind's forward, and beneath it its backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from numbanet.cpu import conv, dense, elementwise, image, lanes
from numbanet.graph import Node, Window
from numbanet.spec import Activation

if TYPE_CHECKING:
    from numbanet.cpu.program import Program


def dense_forward(program: Program, node: Node) -> None:
    """z = W' x."""
    weights = node.parameters[0]
    program.passes.add(
        dense.forward, weights.offset, program.place(node.input), program.place(node.output),
        node.input.size, node.output.size, len(node.parameters) - 1, program.product,
    )  # fmt: skip


def dense_backward(program: Program, node: Node) -> None:
    """Panels for dW, then dx, unless nothing before has parameters."""
    weights, units, vector = node.parameters[0], node.output.size, program.tile.vector
    panel = program.reserve(-(-units // vector) * vector)
    program.passes.add(lanes.panels, program.slope(node.output), panel, units, vector)
    if node is not program.first:
        program.passes.add(
            dense.backward, weights.offset, program.slope(node.output), program.slope(node.input),
            node.input.size, units, program.product,
        )  # fmt: skip
    rows = node.input.size + len(node.parameters) - 1
    program.gradients.add(
        dense.gradient, weights.offset, rows, units, program.place(node.input), panel, vector, program.product
    )


def activation_forward(program: Program, node: Node) -> None:
    """y = f(x), over x itself where the derivative needs only y."""
    activation = activation_of(node)
    inplace = program.in_place(node)
    if inplace:
        program._places[node.output] = program.place(node.input)
    kernel, scratch = elementwise.forward(
        activation.forward, activation.row, inplace, len(activation.params), program.dtype
    )
    program.passes.add(
        kernel, program.place(node.input), program.place(node.output), node.output.size,
        program.number(activation.params), 0,
    )  # fmt: skip
    if scratch:
        program.want_scratch(program.passes, 5, scratch)


def activation_backward(program: Program, node: Node) -> None:
    """d/dy becomes d/dx where it lies."""
    activation = activation_of(node)
    if activation.derivative is None:
        raise ValueError(f"activation '{activation.name}' can't be trained through; give it a derivative=")
    program._slopes[node.input] = program.slope(node.output)
    inplace = program.in_place(node)
    kernel, scratch = elementwise.backward(
        activation.derivative, activation.row, inplace, len(activation.params), program.dtype
    )
    program.passes.add(
        kernel, program.place(node.input), program.place(node.output), node.output.size,
        program.number(activation.params), 0, program.slope(node.output),
    )  # fmt: skip
    if scratch:
        program.want_scratch(program.passes, 5, scratch)


def activation_of(node: Node) -> Activation:
    """Activation of an activation node."""
    assert node.activation is not None
    return node.activation


def reshape_forward(program: Program, node: Node) -> None:
    """The same rows under another shape."""
    program._places[node.output] = program.place(node.input)


def reshape_backward(program: Program, node: Node) -> None:
    """The same rows under another shape."""
    program._slopes[node.input] = program.slope(node.output)


def _window(node: Node) -> Window:
    assert node.window is not None
    return node.window


def pad_forward(program: Program, node: Node) -> None:
    """x amid a margin."""
    at = program.number({"fill": node.fill})
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
        program.gradients.add(conv.bias_gradient, bias.offset, bias.size, 1, slope, rows * columns * units // bias.size)


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


Lower = Callable[["Program", Node], None]
FORWARD: dict[str, Lower] = {
    "dense": dense_forward, "activation": activation_forward, "reshape": reshape_forward, "pad": pad_forward,
    "convolution": convolution_forward, "max_pool": max_pool_forward, "average_pool": average_pool_forward,
}  # fmt: skip
BACKWARD: dict[str, Lower] = {
    "dense": dense_backward, "activation": activation_backward, "reshape": reshape_backward, "pad": pad_backward,
    "convolution": convolution_backward, "max_pool": max_pool_backward, "average_pool": average_pool_backward,
}  # fmt: skip
