"""Values of an ONNX graph beside those of the layers read so far."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from numbanet.export.onnx.source import Step
from numbanet.store import FormatError


class LayoutError(FormatError):
    """A value has its channels elsewhere than a node wants them."""


@dataclass(frozen=True)
class Flow:
    """A value of the graph, and where its elements are in what the layers give.

    Attributes
    ----------
    name : str
        In the graph.
    shape : tuple of int
        Of a sample that the layers give.
    axes : tuple of int
        For each axis of the graph's value, but for the samples', the layers' axis.
    order : ndarray of int or None
        Of a vector: where its elements are in the layers' vector, if elsewhere.
    margin : tuple of pairs of int
        Elements that are to be added before and behind each of the layers' axes, where there are.
    fill : float
        What those are.
    loose : bool
        Whether the shape comes from a Reshape, and another one may be put behind it.
    """

    name: str
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    order: np.ndarray | None = None
    margin: tuple[tuple[int, int], ...] = ()
    fill: float = 0.0
    loose: bool = False

    @property
    def dims(self) -> tuple[int, ...]:
        """Shape of a sample in the graph."""
        return tuple(self.shape[a] for a in self.axes)

    @property
    def size(self) -> int:
        """Elements of a sample."""
        return math.prod(self.shape)

    @property
    def straight(self) -> bool:
        """Whether the elements of the graph's value lie in memory as those of the layers' do."""
        moved = [a for a in self.axes if self.shape[a] > 1]
        return self.order is None and moved == sorted(moved)

    def turned(self, values: np.ndarray) -> np.ndarray:
        """Numbers for each element of the graph's vector, in the order of the layers' vector."""
        if self.order is None:
            return values
        result = np.empty_like(values)
        result[self.order] = values
        return result

    def flat(self, name: str) -> Flow:
        """The same as one vector."""
        order = np.arange(self.size).reshape(self.shape).transpose(self.axes).ravel()
        if len(self.shape) == 1:
            return replace(self, name=name)
        straight = bool((order == np.arange(self.size)).all())
        return Flow(name, (self.size,), (0,), None if straight else order, loose=True)


def channels_first(axes: int) -> tuple[int, ...]:
    """`Flow.axes` of a value whose last axis the graph has first."""
    return (axes - 1, *range(axes - 1))


def plain(name: str, shape: tuple[int, ...], loose: bool = False) -> Flow:
    """A value that the layers give as the graph has it."""
    return Flow(name, shape, tuple(range(len(shape))), loose=loose)


def reshaped(flow: Flow, name: str, dims: tuple[int, ...], step: Step) -> Flow:
    """The value under another shape in the graph.

    Parameters
    ----------
    flow : Flow
        The value.
    name : str
        Its new name.
    dims : tuple of int
        Shape of a sample; one of them may be -1.
    step : Step
        Who wants it.

    Returns
    -------
    Flow
        Of another shape, too, unless that stays the same.

    Raises
    ------
    FormatError
        If elements would have to change places.
    """
    known = abs(math.prod(dims))
    if known and -1 in dims:
        dims = tuple(flow.size // known if n == -1 else n for n in dims)
    if math.prod(dims) != flow.size or not dims or min(dims) < 1:
        raise step.error(f"wants the shape {dims} of samples of shape {flow.dims}")
    if len(dims) == 1:
        return flow.flat(name)
    if flow.straight:
        return plain(name, dims, loose=True)
    first = channels_first(len(dims))
    if flow.axes == channels_first(len(flow.shape)) and dims[0] == flow.dims[0] and _core(dims) == _core(flow.dims):
        return Flow(name, (*dims[1:], dims[0]), first, loose=True)
    raise LayoutError(f"{step.label} wants samples of the shape {dims}, for which elements of shape {flow.dims} would "
                      "have to change places: the layers have channels last, the graph has them first")


def _core(dims: tuple[int, ...]) -> list[int]:
    return [n for n in dims[1:] if n > 1]
