"""One description of a model, shared by the backends and the exporters.

Layers write it: values that flow, parameters, and nodes that say what is computed, by name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from numbanet.spec import Activation, Initializer, Regularizer


@dataclass(frozen=True)
class Value:
    """What flows between nodes, without the sample axis."""

    index: int
    shape: tuple[int, ...]

    @cached_property
    def size(self) -> int:
        """Elements for one sample."""
        return math.prod(self.shape)


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
    momentum : float or None
        Weight of the past, if it is a running average of what its node measures rather than trained.
    mask : ndarray of bool or None
        Which of the last axes' elements there are; the others stay 0.
    """

    name: str
    offset: int
    shape: tuple[int, ...]
    initializer: Initializer
    fan_in: int
    fan_out: int
    bias: bool = False
    regularizer: Regularizer | None = None
    momentum: float | None = None
    mask: np.ndarray | None = field(default=None, compare=False)

    @cached_property
    def size(self) -> int:
        """Elements in all."""
        return math.prod(self.shape)

    @property
    def role(self) -> str:
        """What it is to its node, such as "kernel"."""
        return self.name.rpartition(".")[2]

    @property
    def trained(self) -> bool:
        """Whether the optimiser changes it."""
        return self.momentum is None

    @property
    def count(self) -> int:
        """Elements that training finds."""
        if not self.trained:
            return 0
        return self.size if self.mask is None else self.size // self.mask.size * int(self.mask.sum())

    @property
    def end(self) -> int:
        """Past the last element in the flat vector."""
        return self.offset + self.size


@dataclass(frozen=True)
class Window:
    """What a convolution or a pooling looks at for one output: height and width, its steps, and its gaps."""

    size: tuple[int, ...]
    strides: tuple[int, ...] = (1, 1)
    dilation: tuple[int, ...] = (1, 1)

    def outputs(self, height: int, width: int) -> tuple[int, int]:
        """How many outputs there are along an image's height and width; not positive if none fits."""
        return tuple(  # type: ignore[return-value]
            (length - (size - 1) * gap - 1) // step + 1
            for length, size, step, gap in zip((height, width), self.size, self.strides, self.dilation, strict=True)
        )


@dataclass(frozen=True, eq=False)
class Node:
    """One computation: its kind names the kernels that a backend has for it.

    Attributes
    ----------
    kind : str
        "dense", "convolution", "embedding", "activation", "affine", "layer_normalize", "batch_normalize",
        "max_pool", "average_pool", "pad", "reshape", "dropout", "gaussian_noise", "fork" or "add"; of a plugin's
        layer ``"module:name"``, which refers to its lowering.
    layer : int
        Index of the layer that wrote it.
    input, output : Value
        What it takes and gives.
    parameters : tuple of Parameter
        One behind the other in the flat vector: kernel and bias, gamma and beta, mean and variance, or a table.
    activation : Activation or None
        Of an activation.
    window : Window or None
        Of a convolution or a pooling.
    margin : tuple of int
        Rows above and columns to the left that padding adds.
    settings : mapping of str to float
        Numbers that its formula has, by name: "fill" of a pad, "epsilon" of a normalization, "rate" and "units" (how
        many draw, for all positions) of a dropout, "stddev" of Gaussian noise.
    other : Value or None
        What is added to the input.
    """

    kind: str
    layer: int
    input: Value
    output: Value
    parameters: tuple[Parameter, ...] = ()
    activation: Activation | None = None
    window: Window | None = None
    margin: tuple[int, int] = (0, 0)
    settings: Mapping[str, float] = field(default_factory=dict)
    other: Value | None = None

    @property
    def products(self) -> int:
        """Multiplications with weights for one sample, each followed by an addition."""
        if self.kind not in ("dense", "convolution"):
            return 0
        return self.parameters[0].count * (self.output.size // self.output.shape[-1])

    @property
    def connections(self) -> int:
        """Weights and biases that enter units, counted anew for each unit that shares them."""
        return self.products + (self.output.size if self.products and len(self.parameters) > 1 else 0)


@dataclass
class Graph:
    """Nodes in the order in which they are computed.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample.
    nodes : list of Node
        In the order in which they are computed.
    parameters : list of Parameter
        In the order in which they lie in the flat vector.
    vocabulary : int
        Past the largest index that an input may be; 0 where inputs are no indices.
    """

    input_shape: tuple[int, ...]
    nodes: list[Node] = field(default_factory=list)
    parameters: list[Parameter] = field(default_factory=list)
    vocabulary: int = 0
    _path: list[int] = field(default_factory=list)
    _values: int = 0

    def __post_init__(self) -> None:
        self.input = self.output = self.value(self.input_shape)

    @property
    def size(self) -> int:
        """Length of the flat vector of parameters."""
        return self.parameters[-1].end if self.parameters else 0

    @property
    def count(self) -> int:
        """Parameters that training finds."""
        return sum(p.count for p in self.parameters)

    @property
    def path(self) -> str:
        """Which layer is being written, such as "3", or "3.1" for a layer within a layer."""
        return ".".join(map(str, self._path))

    @property
    def flops(self) -> int:
        """Floating-point operations of a training step, for one sample."""
        return sum(6 * node.products for node in self.nodes)

    def copy(self) -> Graph:
        """One to which nodes can be added."""
        graph = Graph(self.input_shape, list(self.nodes), list(self.parameters), self.vocabulary, _values=self._values)
        graph.input, graph.output = self.input, self.output
        return graph

    def until(self, last: int) -> Graph:
        """The part that gives what the node of an index gives."""
        part = self.copy()
        del part.nodes[last + 1 :]
        part.output = part.nodes[-1].output
        return part

    def penalized(self, default: Regularizer | None) -> list[tuple[Parameter, Regularizer]]:
        """Which parameters a regularizer acts on: the layer's own, or the default."""
        pairs = []
        for parameter in self.parameters:
            regularizer = parameter.regularizer or default
            spared = parameter.bias and not parameter.regularizer
            if regularizer is not None and parameter.trained and (regularizer.biases or not spared):
                pairs.append((parameter, regularizer))
        return pairs

    def check_masks(self, params: np.ndarray) -> None:
        """Raise ValueError unless the parameters are 0 where there is no connection."""
        for p in self.parameters:
            if p.mask is not None:
                wrong = np.argwhere(params[p.offset : p.end].reshape(p.shape) * ~p.mask)
                if len(wrong):
                    raise ValueError(
                        f"weights '{p.name}' is not 0 at {tuple(map(int, wrong[0]))}, where the layer's connections "
                        "have none"
                    )

    def check_finite(self, params: np.ndarray) -> None:
        """Raise ValueError if a parameter is NaN or infinite, as after a training that has diverged."""
        for p in self.parameters:
            if not np.isfinite(params[p.offset : p.end]).all():
                raise ValueError(f"weights '{p.name}' hold NaN or infinity; nothing was written")

    @contextmanager
    def within(self, index: int) -> Iterator[None]:
        """While a layer is written."""
        self._path.append(index)
        yield
        self._path.pop()

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
        **settings: Any,
    ) -> Parameter:
        """Declare a parameter behind those there are, with further fields of `Parameter`."""
        parameter = Parameter(f"{self.path}.{role}", self.size, shape, initializer, fan_in, fan_out, **settings)
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
        for before, after in pairwise(parameters):
            if before.end != after.offset:
                raise ValueError(f"'{after.name}' must be declared right behind '{before.name}', as the node has them")
        output = self.value(shape)
        self.nodes.append(Node(kind, self._path[0] if self._path else 0, self.output, output, parameters, **settings))
        self.output = output
        return output
