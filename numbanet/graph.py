"""One description of a model, shared by the backends and the exporters.

Layers write it: values that flow, parameters, and nodes that say what is computed, by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
class Node:
    """One computation: its kind names the kernels that a backend has for it."""

    kind: str
    layer: int
    input: Value
    output: Value
    parameters: tuple[Parameter, ...] = ()
    activation: Activation | None = None


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
        activation: Activation | None = None,
    ) -> Value:
        """Append a node that takes the output so far; its output is the new one."""
        output = self.value(shape)
        self.nodes.append(Node(kind, self.layer, self.output, output, parameters, activation))
        self.output = output
        return output
