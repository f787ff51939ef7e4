"""Tables looked up by index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numbanet.cpu import embedding
from numbanet.graph import Node

if TYPE_CHECKING:
    from numbanet.cpu.program import Program


def forward(program: Program, node: Node) -> None:
    """Rows of the table."""
    table = node.parameters[0]
    program.passes.add(
        embedding.forward, table.offset, program.place(node.input), program.place(node.output), node.input.size,
        table.shape[1],
    )  # fmt: skip


def backward(program: Program, node: Node) -> None:
    """Sums for the rows that were looked up; indices have no gradient."""
    table = node.parameters[0]
    program.gradients.add(
        embedding.gradient, table.offset, *table.shape, program.place(node.input), program.slope(node.output),
        node.input.size,
    )  # fmt: skip
