"""Normalization, scales and shifts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numbanet.cpu import normalize
from numbanet.graph import Node, Parameter

if TYPE_CHECKING:
    from numbanet.cpu.program import Program


def _channels(node: Node) -> tuple[int, int]:
    """Positions and channels; those are the last axis."""
    return node.input.size // node.input.shape[-1], node.input.shape[-1]


def channel_gradient(program: Program, parameter: Parameter, slope: int, positions: int, x: int = -1) -> None:
    """Gradient of a parameter that acts alike on all positions: sums of dz, or of x dz."""
    scratch = program.reserve(parameter.size)
    program.gradients.add(
        normalize.channel_gradient, parameter.offset, parameter.size, 1, slope, positions, scratch, x
    )


def _scale_and_shift(node: Node) -> tuple[Parameter | None, Parameter | None]:
    roles = {p.role: p for p in node.parameters}
    return roles.get("gamma"), roles.get("beta")


def _offset(parameter: Parameter | None) -> int:
    return -1 if parameter is None else parameter.offset


def affine_forward(program: Program, node: Node) -> None:
    """z = gamma x + beta."""
    gamma, beta = _scale_and_shift(node)
    program.passes.add(
        normalize.affine_forward, program.place(node.input), program.place(node.output), *_channels(node),
        _offset(gamma), _offset(beta),
    )  # fmt: skip


def affine_backward(program: Program, node: Node) -> None:
    """dx = gamma dz, unless nothing before has parameters; sums for gamma and beta."""
    (gamma, beta), (positions, channels) = _scale_and_shift(node), _channels(node)
    slope = program.slope(node.output)
    if node is not program.first:
        program.passes.add(
            normalize.affine_backward, slope, program.slope(node.input), positions, channels, _offset(gamma)
        )
    if gamma is not None:
        channel_gradient(program, gamma, slope, positions, program.place(node.input))
    if beta is not None:
        channel_gradient(program, beta, slope, positions)


def layer_forward(program: Program, node: Node) -> None:
    """Each position over its channels."""
    positions, channels = _channels(node)
    program.kept[node] = program.reserve(positions), program.number({**node.settings, "share": 1 / channels})
    program.passes.add(
        normalize.layer_forward, program.place(node.input), program.place(node.output), positions, channels,
        *program.kept[node],
    )  # fmt: skip


def layer_backward(program: Program, node: Node) -> None:
    """dz becomes dx where it lies."""
    program.slopes[node.input] = program.slope(node.output)
    program.passes.add(
        normalize.layer_backward, program.slope(node.output), program.place(node.output), *_channels(node),
        *program.kept[node], 0,
    )  # fmt: skip
    program.want_scratch(program.passes, 7, 2)


def batch_forward(program: Program, node: Node) -> None:
    """Over the whole batch in training, by running averages otherwise."""
    (positions, channels), mean = _channels(node), node.parameters[0]
    x, z, at = program.place(node.input), program.place(node.output), program.number(node.settings)
    if not program.train:
        program.passes.add(normalize.moving_forward, x, positions, channels, mean.offset, z, at, 0)
        program.want_scratch(program.passes, 7, channels)
        return
    tail = program.reserve_tail(normalize.SECTIONS * channels)
    program.kept[node] = (tail,)
    program.passes.add(normalize.batch_measure, x, positions, channels, tail, 0)
    program.want_scratch(program.passes, 5, channels)
    program.meet()
    program.passes.add(normalize.batch_forward, x, positions, channels, tail, z, at)


def batch_backward(program: Program, node: Node) -> None:
    """dz becomes dx where it lies; the batch's moments take the place of a gradient."""
    (positions, channels), mean = _channels(node), node.parameters[0]
    z, slope = program.place(node.output), program.slope(node.output)
    if not program.train:
        program.slopes[node.input] = slope
        at = program.number(node.settings)
        program.passes.add(normalize.moving_backward, slope, positions, channels, mean.offset, at)
        return
    (tail,) = program.kept[node]
    program.gradients.add(normalize.batch_gradient, mean.offset, 2, channels, tail)
    if node is program.first:
        return
    program.slopes[node.input] = slope
    program.passes.add(normalize.batch_measure_slope, slope, positions, channels, tail, 0, z)
    program.want_scratch(program.passes, 5, channels)
    program.meet()
    program.passes.add(normalize.batch_backward, slope, positions, channels, tail, z)
