"""Convolutions and poolings of an ONNX graph as layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numbanet.export.onnx.flow import Flow, channels_first
from numbanet.export.onnx.source import Step
from numbanet.layers import AvgPool1D, AvgPool2D, Conv1D, Conv2D, GlobalAvgPool, GlobalMaxPool, MaxPool1D, MaxPool2D

if TYPE_CHECKING:
    from numbanet.export.onnx.walk import Walk

MOST = 1024  # elements of a margin: a file must not make numbanet fill the memory
Pads = list[tuple[int, int]]
POOLS: dict[str, Any] = {
    "AveragePool": (AvgPool1D, AvgPool2D), "GlobalAveragePool": (AvgPool1D, AvgPool2D),
    "GlobalMaxPool": (MaxPool1D, MaxPool2D), "MaxPool": (MaxPool1D, MaxPool2D), "ReduceMean": (AvgPool1D, AvgPool2D),
}  # fmt: skip


def convolution(walk: Walk, step: Step, flow: Flow) -> Flow:
    """Conv, and a bias of each unit behind it."""
    values = walk.weights(step, 1)
    axes, group = values.ndim - 2, step.get("group", 1)
    if axes not in (1, 2):
        raise step.error(f"has a kernel with {axes} axes beside the channels; numbanet's convolutions have 1 or 2")
    flow = walk.image(step, flow, axes)
    units, channels = values.shape[0], flow.shape[-1]
    if group < 1 or units % group or channels != values.shape[1] * group:
        raise step.error(f"has a kernel of shape {values.shape} in {group} groups for {channels} channels")
    strides, gaps, size = _settings(step, values.shape[2:])
    kernel = np.moveaxis(values, (0, 1), (-1, -2))
    settings: dict[str, Any] = {}
    if group > 1:
        table = np.kron(np.eye(group, dtype=bool), np.ones((values.shape[1], units // group), bool))
        kernel = np.tile(kernel, (*(1,) * axes, group, 1)) * table
        settings["connections"] = table
    given = _pads(step, flow.shape[:-1], size, strides, gaps)
    margin = list(flow.margin[:-1]) or [(0, 0)] * axes
    if any(sum(pair) for pair in given) and flow.fill:
        raise step.error("has a margin of zeros around one of other numbers; numbanet's convolutions have one margin")
    pads = [(a + c, b + d) for (a, b), (c, d) in zip(margin, given, strict=True)]
    padding, kernel = _margin(step, pads, kernel, flow.shape[:-1], strides, gaps)
    arrays, name, bias = [kernel], step.outputs[0], None
    if len(step.inputs) > 2:
        bias = walk.vector(step, 2, units)
    else:
        following = walk.only(name)
        at = following is not None and following.kind == "Add" and walk.other(following, name)
        if following is not None and at:
            found = walk.source.constant(at)
            wide = found.reshape((1,) * (axes + 2 - found.ndim) + found.shape) if found.ndim <= axes + 2 else found
            if wide.ndim == axes + 2 and wide.shape[:2] == (1, units):
                bias, name = np.moveaxis(wide[0], 0, -1), following.outputs[0]
                bias = bias.ravel() if bias.size == units else bias
    if bias is not None:
        arrays.append(bias)
    layer = (Conv1D, Conv2D)[axes - 1](
        units, kernel.shape[:axes], strides=strides, dilation=gaps, padding=padding, padding_value=flow.fill,
        bias=None if bias is None else ("channel" if bias.ndim == 1 else "unit"), **settings,
    )  # fmt: skip
    shape = walk.emit(step, layer, flow.shape, *arrays)
    if bias is not None and bias.ndim > 1 and bias.shape != shape:
        raise step.error(f"is followed by numbers of shape {bias.shape}; its units have shape {shape}")
    return Flow(name, shape, channels_first(axes + 1))


def pool(walk: Walk, step: Step, flow: Flow) -> Flow:
    """MaxPool, AveragePool."""
    kernel = step.get("kernel_shape", [])
    flow = walk.image(step, flow, len(kernel))
    strides, gaps, size = _settings(step, tuple(kernel))
    pads = _pads(step, flow.shape[:-1], size, strides, gaps)
    rest = [(n - k) % s for n, k, s in zip(flow.shape, size, strides, strict=False)]
    if any(sum(pair) for pair in pads) or max(gaps) > 1 or (step.get("ceil_mode", 0) and any(rest)):
        raise step.error("has a margin, dilation, or windows beyond the edge; numbanet's poolings have none")
    layer = POOLS[step.kind][len(kernel) - 1](size, strides)
    return Flow(step.outputs[0], walk.emit(step, layer, flow.shape), channels_first(len(flow.shape)))


def whole(walk: Walk, step: Step, flow: Flow) -> Flow:
    """GlobalAveragePool, GlobalMaxPool, and ReduceMean over an image."""
    axes, kept, last = len(flow.shape) - 1, True, False
    if step.kind == "ReduceMean":
        places = walk.source.constant(step.inputs[1]).tolist() if len(step.inputs) > 1 else step.get("axes", [])
        places, kept = sorted(p % (axes + 2) for p in places), bool(step.get("keepdims", 1))
        last = places == list(range(1, axes + 1)) and flow.axes == tuple(range(axes + 1))
        if axes not in (1, 2) or (places != list(range(2, axes + 2)) and not last):
            raise step.error(f"takes the mean over axes {places} of {axes + 2}; numbanet has that of all of an image, "
                             "channel by channel")
    if not last:
        flow = walk.image(step, flow, axes)
    layer = GlobalMaxPool() if step.kind == "GlobalMaxPool" else GlobalAvgPool()
    name = step.outputs[0]
    if kept:
        following = walk.only(name)
        ones = Flow(name, (*(1,) * axes, flow.shape[-1]), flow.axes)
        flat = following is not None and following.kind in ("Flatten", "Reshape", "Squeeze")
        if following is None or not flat or len(walk.behind(following, ones).shape) != 1:
            layer = POOLS[step.kind][axes - 1](flow.shape[:-1])
            return Flow(name, walk.emit(step, layer, flow.shape), flow.axes)
        name = following.outputs[0]
    return Flow(name, walk.emit(step, layer, flow.shape), (0,))


def _settings(step: Step, size: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Strides, gaps and window."""
    ones = [1] * len(size)
    found = [tuple(step.get(key, default)) for key, default in
             (("strides", ones), ("dilations", ones), ("kernel_shape", list(size)))]  # fmt: skip
    if not all(len(values) == len(size) and min(values, default=0) > 0 for values in found) or found[2] != size:
        raise step.error(f"has strides {found[0]}, dilations {found[1]} and kernel_shape {found[2]} with a window of "
                         f"{size}; expected a positive number an axis")
    return found[0], found[1], found[2]


def _same(length: int, size: int, step: int, gap: int) -> int:
    return max(0, (-(-length // step) - 1) * step + (size - 1) * gap + 1 - length)


def _pads(step: Step, shape: tuple[int, ...], size: Any, strides: Any, gaps: Any) -> Pads:
    """Elements before and behind each axis."""
    automatic, axes = step.get("auto_pad", "NOTSET"), len(shape)
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        totals = [_same(*facts) for facts in zip(shape, size, strides, gaps, strict=True)]
        pairs = [(total // 2, total - total // 2) for total in totals]
        return pairs if automatic == "SAME_UPPER" else [(b, a) for a, b in pairs]
    pads = step.get("pads", [0] * 2 * axes)
    if automatic not in ("NOTSET", "VALID") or len(pads) != 2 * axes or min(pads, default=0) < 0:
        raise step.error(f"has pads {pads} and auto_pad '{automatic}'; expected two numbers of at least 0 an axis")
    return [(0, 0)] * axes if automatic == "VALID" else list(zip(pads[:axes], pads[axes:], strict=True))


def _margin(
    step: Step, pads: Pads, kernel: np.ndarray, shape: tuple[int, ...], strides: Any, gaps: Any
) -> tuple[int | str, np.ndarray]:
    """What a layer calls the margin; where it has no name for it, a kernel with zeros at its edges."""
    totals = [_same(*facts) for facts in zip(shape, kernel.shape, strides, gaps, strict=False)]
    most = max(max(pair) for pair in pads)
    if most > MOST:
        raise step.error(f"has the margins {pads}; at most {MOST} can be read")
    if all(pair == (most, most) for pair in pads):
        return (most or "valid"), kernel
    if pads == [(total // 2, total - total // 2) for total in totals]:
        return "same", kernel
    for width in range(most, most + int(np.prod(gaps))):
        if all((width - end) % gap == 0 for pair, gap in zip(pads, gaps, strict=True) for end in pair):
            more = [tuple((width - end) // gap for end in pair) for pair, gap in zip(pads, gaps, strict=True)]
            return width, np.pad(kernel, [*more, (0, 0), (0, 0)])
    raise step.error(f"has the margins {pads} with dilations {gaps}, which numbanet's convolutions have no words for")
