"""One description of a model, shared by the backends and the exporters.

Layers write it: values that flow, parameters, and nodes that say what is computed, by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numbanet.spec import Activation, Initializer, Regularizer


@dataclass(frozen=True)
class Value:
    """What flows between nodes, without the sample axis."""

    index: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Elements for one sample."""
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class Parameter:
    """Place of a parameter in the flat vector, and how it starts and is penalised.

    Attributes
    ----------
    name : str
        Such as "0.kernel": layer and role.
    offset : int
        First element in the flat vector.
    shape : tuple of int
        Shape of the view; the last axis counts units.
    initializer : Initializer
        Values before training.
    fan_in, fan_out : int
        Connections into and out of a unit.
    bias : bool
        Whether regularizers spare it unless asked.
    regularizer : Regularizer or None
        Of the layer, in place of the trainer's.
    """

    name: str
    offset: int
    shape: tuple[int, ...]
    initializer: Initializer
    fan_in: int
    fan_out: int
    bias: bool = False
    regularizer: Regularizer | None = None

    @property
    def size(self) -> int:
        """Elements in all."""
        return int(np.prod(self.shape))

    @property
    def end(self) -> int:
        """Past the last element in the flat vector."""
        return self.offset + self.size


@dataclass(frozen=True)
class Window:
    """What a convolution or a pooling looks at for one output: height and width, its steps, and its gaps."""

    size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)

    def outputs(self, height: int, width: int) -> tuple[int, int]:
        """How many outputs there are along an image's height and width; not positive if none fits."""
        return tuple(  # type: ignore[return-value]
            (length - (size - 1) * gap - 1) // step + 1
            for length, size, step, gap in zip((height, width), self.size, self.strides, self.dilation, strict=True)
        )


@dataclass(frozen=True)
class Node:
    """One computation: its kind names the kernels that a backend has for it.

    Attributes
    ----------
    kind : str
        "dense", "activation", "reshape", "pad", "convolution", "max_pool" or "average_pool".
    layer : int
        Index of the layer that wrote it.
    input, output : Value
        What it takes and gives.
    parameters : tuple of Parameter
        Such as kernel and bias.
    activation : Activation or None
        Of an activation.
    window : Window or None
        Of a convolution or a pooling.
    margin : tuple of int
        Rows above and columns to the left that padding adds.
    fill : float
        What padding consists of.
    """

    kind: str
    layer: int
    input: Value
    output: Value
    parameters: tuple[Parameter, ...] = ()
    activation: Activation | None = None
    window: Window | None = None
    margin: tuple[int, int] = (0, 0)
    fill: float = 0.0

    @property
    def products(self) -> int:
        """Multiplications with weights for one sample, each followed by an addition."""
        if not self.parameters:
            return 0
        return self.parameters[0].size * (self.output.size // self.output.shape[-1])


@dataclass
class Graph:
    """Nodes in the order in which they are computed.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample.
    """

    input_shape: tuple[int, ...]
    nodes: list[Node] = field(default_factory=list)
    parameters: list[Parameter] = field(default_factory=list)
    layer: int = 0
    _values: int = 0

    def __post_init__(self) -> None:
        self.input = self.output = self.value(self.input_shape)

    @property
    def size(self) -> int:
        """Length of the flat vector of parameters."""
        return self.parameters[-1].end if self.parameters else 0

    def value(self, shape: tuple[int, ...]) -> Value:
        """Declare a value."""
        self._values += 1
        return Value(self._values - 1, shape)

    def parameter(
        self,
        role: str,
        shape: tuple[int, ...],
        initializer: Initializer,
        *,
        fan_in: int,
        fan_out: int,
        bias: bool = False,
        regularizer: Regularizer | None = None,
    ) -> Parameter:
        """Declare a parameter behind those there are."""
        name = f"{self.layer}.{role}"
        parameter = Parameter(name, self.size, shape, initializer, fan_in, fan_out, bias, regularizer)
        self.parameters.append(parameter)
        return parameter

    def node(
        self,
        kind: str,
        shape: tuple[int, ...],
        parameters: tuple[Parameter, ...] = (),
        **settings: Any,
    ) -> Value:
        """Append a node that takes the output so far, with further fields of `Node`; its output is the new one."""
        output = self.value(shape)
        self.nodes.append(Node(kind, self.layer, self.output, output, parameters, **settings))
        self.output = output
        return output
