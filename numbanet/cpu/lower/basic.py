"""Dense layers, activations, other shapes, and values that go two ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numbanet.cpu import dense, elementwise, join
from numbanet.graph import Node
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
    weights, units = node.parameters[0], node.output.size
    if program.train:
        panel = program.panels(program.slope(node.output), units)
        rows = node.input.size + len(node.parameters) - 1
        program.gradients.add(
            dense.gradient, weights.offset, rows, units, program.place(node.input), panel, program.tile.vector,
            program.product,
        )  # fmt: skip
    if node is not program.first:
        program.passes.add(
            dense.backward, weights.offset, program.slope(node.output), program.slope(node.input),
            node.input.size, units, program.product,
        )  # fmt: skip


def activation_forward(program: Program, node: Node) -> None:
    """y = f(x), over x itself where the derivative needs only y."""
    activation = activation_of(node)
    inplace = program.in_place(node)
    if inplace:
        program.alias(node)
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
    derivative = activation.slope
    if derivative is None:
        raise ValueError(f"activation '{activation.name}' can't be trained through; give it a derivative=")
    program.slopes[node.input] = program.slope(node.output)
    inplace = program.in_place(node)
    kernel, scratch = elementwise.backward(
        derivative, activation.row, inplace, len(activation.params), program.dtype
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
    program.alias(node)


def reshape_backward(program: Program, node: Node) -> None:
    """The same rows under another shape."""
    program.slopes[node.input] = program.slope(node.output)


def fork_forward(program: Program, node: Node) -> None:
    """The same rows, of which there is another reader."""
    program.alias(node)


def fork_backward(program: Program, node: Node) -> None:
    """dx is the sum of what all readers give; the last one written, which comes first going back, begins it."""
    if node.input not in program.slopes:
        program.slopes[node.input] = program.slope(node.output)
        return
    x, z = program.slope(node.input), program.slope(node.output)
    program.passes.add(join.add, x, z, x, node.input.size)


def add_forward(program: Program, node: Node) -> None:
    """z = x + y."""
    assert node.other is not None
    program.passes.add(
        join.add, program.place(node.input), program.place(node.other), program.place(node.output), node.output.size
    )


def add_backward(program: Program, node: Node) -> None:
    """dz for both, each of its own, for what lies before changes it in place."""
    assert node.other is not None
    program.slopes[node.input] = program.slope(node.output)
    program.passes.add(join.copy, program.slope(node.output), program.slope(node.other), node.output.size)
