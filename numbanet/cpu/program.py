"""From the description of a model to tables of operations and the layout of a block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet.cpu import dense, elementwise, host, lanes
from numbanet.cpu.jit import address, signatures
from numbanet.cpu.lower import lowering
from numbanet.cpu.lower.basic import activation_of
from numbanet.cpu.plan import TAIL, WIDTH
from numbanet.graph import Graph, Node, Value
from numbanet.spec import Loss


@dataclass(frozen=True)
class Scales:
    """Linear changes of units, of arrays with an element for each of a sample, or of an output.

    Attributes
    ----------
    inputs : (ndarray, ndarray) or None
        What is subtracted, and the factors that follow.
    outputs : (ndarray, ndarray) or None
        Factors, and what is then added.
    """

    inputs: tuple[np.ndarray, np.ndarray] | None = None
    outputs: tuple[np.ndarray, np.ndarray] | None = None


class Table:
    """Operations under construction; keeps their kernels alive. Without a signature they are for another device."""

    def __init__(self, signature: Any) -> None:
        self.signature = signature
        self.rows: list[list[int]] = []
        self.kernels: list[Any] = []

    def add(self, kernel: Any, *integers: int) -> None:
        """Append an operation."""
        self.kernels.append(kernel)
        row = [0 if self.signature is None else address(kernel, self.signature), *integers]
        self.rows.append(row + [0] * (WIDTH - len(row)))

    def array(self) -> np.ndarray:
        """The flat table that the driver reads."""
        return np.array(self.rows, np.int64).ravel()


class Program:
    """Operations that a model needs, and where each value lies in a block.

    Parameters
    ----------
    graph : Graph
        The model.
    dtype : str
        Working type.
    loss : Loss, optional
        Without one the program only predicts.
    classes : bool
        Whether targets are class indices, one column, rather than rows.
    train : bool
        Whether gradients are computed.
    to_inputs : bool
        Whether, without training, gradients go back to the inputs.
    scales : Scales, optional
        Of inputs and outputs, where the model is only used.

    Attributes
    ----------
    output_row, output_slope, input_slope : int
        Where outputs, and derivatives with respect to outputs and inputs, are in a block.
    """

    def __init__(
        self, graph: Graph, dtype: str, loss: Loss | None = None, *, classes: bool = False, train: bool = False,
        to_inputs: bool = False, scales: Scales | None = None,
    ) -> None:
        self.graph, self.dtype, self.loss = graph, dtype, loss
        self.tile = host.tile(dtype)
        self.begin()
        self.hyper: list[float] = []
        self.rows = self.tail = 0
        self.key_row = -1
        self.train = train
        self.stages = [0]
        self.first: Node | None = None  # before which nothing needs a gradient
        self._places: dict[Value, int] = {graph.input: self.reserve(graph.input.size + 1)}
        self.slopes: dict[Value, int] = {}
        self.kept: dict[Node, tuple[int, ...]] = {}  # what a node's way back needs of its way forward
        self._scratch: list[tuple[list[int], int, int]] = []
        self.scales = scales = scales or Scales()
        if scales.inputs:
            mean, factor = scales.inputs
            self.scale(-mean, factor, None, self.place(graph.input), self.place(graph.input))
        self.forward()
        self.output_row = self.place(graph.output)
        if scales.outputs:
            self.output_row = self.reserve(graph.output.size)
            factor, mean = scales.outputs
            self.scale(None, factor, mean, self.place(graph.output), self.output_row)
        self.forward_rows = len(self.passes.rows)
        self.target_columns = self.target_row = self.weight_row = self.total_row = 0
        if loss is not None:
            self.add_loss(loss, classes)
        if train:
            self.backward()
        if to_inputs:
            if graph.vocabulary:
                raise ValueError("indices of an Embedding have no derivative")
            self.go_back_to_inputs(scales)
        self.stages.append(len(self.passes.rows))
        self.share_scratch()

    def begin(self) -> None:
        """Tables of operations, for kernels on this machine."""
        pass_, gradient, _ = signatures(self.dtype)
        self.passes, self.gradients = Table(pass_), Table(gradient)
        self.product = address(dense.product, dense.product_signature(self.dtype))

    # -- layout -------------------------------------------------------------------------

    def reserve(self, rows: int) -> int:
        """Rows of lanes in the block; returns the first."""
        self.rows += rows
        return self.rows - rows

    def place(self, value: Value) -> int:
        """First row of a value; one more row is there for the ones that carry the bias."""
        if value not in self._places:
            self._places[value] = self.reserve(value.size + 1)
        return self._places[value]

    def alias(self, node: Node) -> None:
        """Let a node's output be where its input is."""
        self._places[node.output] = self.place(node.input)

    def slope(self, value: Value) -> int:
        """First row of the gradient with respect to a value."""
        if value not in self.slopes:
            self.slopes[value] = self.reserve(value.size)
        return self.slopes[value]

    def in_place(self, node: Node) -> bool:
        """Whether an activation may overwrite its input: nobody needs it going back, as a derivative might."""
        makers = [n.kind for n in self.graph.nodes if n.output is node.input]
        return makers in (["dense"], ["convolution"], ["affine"]) and elementwise.in_place(activation_of(node))

    def keys(self) -> int:
        """Row of the lanes' random keys."""
        if self.key_row < 0:
            self.key_row = self.reserve(1)
        return self.key_row

    def reserve_tail(self, elements: int) -> int:
        """Elements behind the rows of a block, which all workers may read; returns how far from its end they start."""
        self.tail = max(self.tail, TAIL) + elements
        return self.tail

    def meet(self) -> None:
        """What comes next begins when all blocks have come this far."""
        self.stages.append(len(self.passes.rows))

    def integers(self, operation: int) -> list[int]:
        """Of a pass, with 0 where it holds the address of a kernel in this process."""
        return [0, *(0 if n == self.product else n for n in self.passes.rows[operation][1:])]

    def number(self, params: Mapping[str, float]) -> int:
        """Store parameters of a formula; returns where they start."""
        return append(self.hyper, params)

    def panels(self, slope: int, units: int) -> int:
        """Where dz is as the product for dW reads it."""
        vector = self.tile.vector
        panel = self.reserve(-(-units // vector) * vector)
        self.passes.add(lanes.panels, slope, panel, units, vector)
        return panel

    def want_scratch(self, table: Table, column: int, rows: int) -> None:
        """Give the operation added last scratch rows, which all operations share."""
        self._scratch.append((table.rows[-1], column, rows))

    def share_scratch(self) -> None:
        """Place the scratch once its size is known."""
        at = self.reserve(max((rows for _, _, rows in self._scratch), default=0))
        for row, column, _ in self._scratch:
            row[column] = at

    @property
    def stride(self) -> int:
        """Elements of a block."""
        lanes = self.tile.lanes
        return self.rows * lanes + -(-self.tail // lanes) * lanes

    # -- operations ---------------------------------------------------------------------

    def forward(self) -> None:
        """Forward operations of every node."""
        for node in self.graph.nodes:
            lowering(node.kind)[0](self, node)

    def backward(self) -> None:
        """Backward operations, in reverse; a gradient that is not finite makes the loss NaN."""
        trained = [i for i, node in enumerate(self.graph.nodes) if node.parameters]
        if trained:
            self.first = self.graph.nodes[trained[0]]
            self.go_back(self.graph.nodes[trained[0] :])
            output = self.first.output
            self.passes.add(elementwise.probe, self.slope(output), self.total_row, output.size)

    def go_back(self, nodes: list[Node]) -> None:
        """Backward operations of nodes, from the last."""
        for node in reversed(nodes):
            lowering(node.kind)[1](self, node)

    def go_back_to_inputs(self, scales: Scales) -> None:
        """Backward operations of all nodes, and of scales."""
        slope = self.slope(self.graph.output)
        if scales.outputs:
            self.scale(None, scales.outputs[0], None, slope, slope)
        self.go_back(self.graph.nodes)
        slope = self.slope(self.graph.input)
        if scales.inputs:
            self.scale(None, scales.inputs[1], None, slope, slope)

    def scale(self, before: np.ndarray | None, factor: np.ndarray, after: np.ndarray | None, x: int, z: int) -> None:
        """z = (x + before) factor + after for each element."""
        places = [
            -1 if n is None else append(self.hyper, dict(enumerate(n.tolist()))) for n in (before, factor, after)
        ]
        self.passes.add(elementwise.scale, x, z, factor.size, *places)

    def add_loss(self, loss: Loss, classes: bool) -> None:
        """Operations from targets and outputs to the loss and its gradient."""
        output = self.graph.output
        self.target_columns = 1 if classes else output.size
        self.target_row = self.reserve(self.target_columns)
        self.weight_row, self.total_row = self.reserve(1), self.reserve(1)
        target = self.target_row
        if classes:
            target = self.reserve(output.size)
            self.passes.add(lanes.one_hot, self.target_row, target, output.size)
        kernel, scratch = elementwise.loss_kernel(loss, self.dtype)
        self.passes.add(
            kernel, self.place(output), target, self.slope(output), self.weight_row, self.total_row,
            output.size, self.number(loss.params), 0,
        )  # fmt: skip
        if scratch:
            self.want_scratch(self.passes, 8, scratch)


def append(hyper: list[float], params: Mapping[Any, float]) -> int:
    """Add parameters of a formula to those of all; returns where they start."""
    hyper += params.values()
    return len(hyper) - len(params)
