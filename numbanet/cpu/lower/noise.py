"""Noise in training; nothing otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numbanet.cpu import noise
from numbanet.graph import Node

if TYPE_CHECKING:
    from numbanet.cpu.program import Program


def _stream(node: Node) -> int:
    """Where a node's units start in a lane's sequence of random numbers."""
    return node.output.index * 0x85EBCA6B % 2**32


def _dropout(program: Program, node: Node, x: int, z: int) -> None:
    units = int(node.settings["units"])
    keys, rate = program.keys(), node.settings["rate"]
    at = program.number({"rate": rate, "scale": 1 / (1 - rate)})
    program.passes.add(noise.dropout, x, z, units, keys, _stream(node), node.input.size // units, at)


def dropout_forward(program: Program, node: Node) -> None:
    """Zeros where chance wants them."""
    if program.train:
        _dropout(program, node, program.place(node.input), program.place(node.output))
    else:
        program.alias(node)


def dropout_backward(program: Program, node: Node) -> None:
    """The same zeros."""
    if not program.train:
        program.slopes[node.input] = program.slope(node.output)
        return
    _dropout(program, node, program.slope(node.output), program.slope(node.input))


def gaussian_forward(program: Program, node: Node) -> None:
    """x and a random number."""
    if not program.train:
        program.alias(node)
        return
    keys, at = program.keys(), program.number(node.settings)
    program.passes.add(
        noise.gaussian(program.dtype), program.place(node.input), program.place(node.output), node.input.size, keys,
        _stream(node), at,
    )  # fmt: skip


def gaussian_backward(program: Program, node: Node) -> None:
    """The gradient passes as it is."""
    program.slopes[node.input] = program.slope(node.output)
