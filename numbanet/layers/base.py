"""What every layer is."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from numbanet.checks import positive_int
from numbanet.graph import Graph
from numbanet.registry import get, names
from numbanet.spec import Activation, Plugin


class Layer:
    """A part of a network.

    A layer holds its settings only; parameters live in the model's flat vector.
    """

    def build(self, graph: Graph) -> None:
        """Write this layer's parameters and nodes behind the graph's output.

        Parameters
        ----------
        graph : Graph
            Description of the model so far.

        Raises
        ------
        ValueError
            If the layer can't take the shape that comes in.
        """
        raise TypeError(f"{type(self).__name__} must define build(graph)")

    def config(self) -> dict[str, Any]:
        """Settings from which the layer can be made again: attributes named as the class's arguments are.

        Returns
        -------
        dict
            Keyword arguments of the class.
        """
        names = list(inspect.signature(type(self)).parameters)
        missing = [name for name in names if not hasattr(self, name)]
        if missing:
            raise TypeError(
                f"{type(self).__name__} must keep its argument '{missing[0]}' as an attribute of that name, or define "
                "config()"
            )
        return {name: getattr(self, name) for name in names}

    def label(self) -> str:
        """What a summary says behind the layer's class.

        Returns
        -------
        str
            Such as " relu"; empty by default.
        """
        return ""

    def __repr__(self) -> str:
        parameters = inspect.signature(type(self)).parameters
        shown = []
        for name, value in self.config().items():
            default: Any = parameters[name].default if name in parameters else inspect.Parameter.empty
            short, usual = _short(value), (default, (default, default), "identity" if default is None else default)
            if not any(type(short) is type(other) and np.array_equal(short, other) for other in usual):
                shown.append(f"{name}={short!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _short(value: Any) -> Any:
    """The name of a registered formula that has its defaults."""
    kind = type(value).__name__.lower()
    if isinstance(value, Plugin) and value.name in names(kind) and get(kind, value.name) == value:
        return value.name
    return value


def per_axis(name: str, value: Any, axes: int) -> tuple[int, ...]:
    """Whole numbers of at least 1, one an axis; a single one stands for all."""
    if isinstance(value, (tuple, list)):
        if len(value) != axes:
            wanted = "a whole number or two" if axes == 2 else "a whole number"
            raise ValueError(f"{name} must be {wanted}, got {value!r}")
        return tuple(positive_int(name, part) for part in value)
    return (positive_int(name, value),) * axes


def as_image(graph: Graph, layer: Layer, axes: int) -> None:
    """Make an image of one row of what has one axis beside the channels."""
    shape = graph.output.shape
    if len(shape) != axes + 1:
        wanted = "(height, width, channels)" if axes == 2 else "(length, channels)"
        hint = "; give the samples a last axis of length 1" if len(shape) == axes else ""
        raise ValueError(
            f"layer {graph.path} ({type(layer).__name__}) takes samples of shape {wanted}, got shape {shape}{hint}"
        )
    if axes == 1:
        graph.node("reshape", (1, *shape))


def as_sequence(graph: Graph, axes: int) -> None:
    """Undo `as_image`."""
    if axes == 1:
        graph.node("reshape", graph.output.shape[1:])


def activate(graph: Graph, activation: Activation) -> None:
    """Add an activation behind the graph's output; the identity adds nothing."""
    if activation != get("activation", "identity"):  # one from a file is another object
        graph.node("activation", graph.output.shape, activation=activation)
