"""From the description of a model to tables of operations and the layout of a block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from numbanet.cpu import dense, elementwise, host, lanes, update
from numbanet.cpu.jit import address, signatures
from numbanet.cpu.lower import lowering
from numbanet.cpu.lower.basic import activation_of
from numbanet.cpu.plan import TAIL, WIDTH
from numbanet.graph import Graph, Node, Parameter, Value
from numbanet.spec import Loss, Optimizer, Regularizer


class Table:
    """Operations under construction; keeps their kernels alive."""

    def __init__(self, signature: Any) -> None:
        self.signature = signature
        self.rows: list[list[int]] = []
        self.kernels: list[Any] = []

    def add(self, kernel: Any, *integers: int) -> None:
        """Append an operation."""
        self.kernels.append(kernel)
        row = [address(kernel, self.signature), *integers]
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
    """

    def __init__(
        self, graph: Graph, dtype: str, loss: Loss | None = None, *, classes: bool = False, train: bool = False,
        to_inputs: bool = False,
    ) -> None:
        self.graph, self.dtype, self.loss = graph, dtype, loss
        self.tile = host.tile(dtype)
        pass_, gradient, _ = signatures(dtype)
        self.passes, self.gradients = Table(pass_), Table(gradient)
        self.product = address(dense.product, dense.product_signature(dtype))
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
        self.forward()
        self.forward_rows = len(self.passes.rows)
        self.target_columns = self.target_row = self.weight_row = self.total_row = 0
        if loss is not None:
            self.add_loss(loss, classes)
        if train:
            self.backward()
        if to_inputs:
            if graph.vocabulary:
                raise ValueError("indices of an Embedding have no derivative")
            self.go_back(graph.nodes)
        self.stages.append(len(self.passes.rows))
        self.share_scratch()

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

    def number(self, params: Mapping[str, float]) -> int:
        """Store parameters of a formula; returns where they start."""
        return _append(self.hyper, params)

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


def _runs(parameters: list[Parameter]) -> list[tuple[int, int]]:
    """First and past the last element of neighbours in the flat vector, taken together."""
    runs: list[tuple[int, int]] = []
    for p in parameters:
        first = runs.pop()[0] if runs and runs[-1][1] == p.offset else p.offset
        runs.append((first, p.end))
    return runs


def _append(hyper: list[float], params: Mapping[str, float]) -> int:
    """Add parameters of a formula to those of all; returns where they start."""
    hyper += params.values()
    return len(hyper) - len(params)


class UpdateProgram:
    """Operations that turn a gradient into new parameters.

    Parameters
    ----------
    graph : Graph
        The model.
    optimizer : Optimizer
        Update rule.
    regularizer : Regularizer, optional
        For all weights that have none of their own.
    dtype : str
        Working type.
    hyper : list of float
        Parameters of formulas, to which those of this program are added.
    """

    def __init__(
        self, graph: Graph, optimizer: Optimizer | None, regularizer: Regularizer | None, dtype: str, hyper: list[float]
    ) -> None:
        signature = signatures(dtype)[2]
        self.updates, self.projections = Table(signature), Table(signature)
        self.penalties, self.slopes, self.clips = Table(signature), Table(signature), Table(signature)
        self.masks = Table(signature)
        self.hyper, self.size, self.scratch = hyper, graph.size, 0
        for parameter, rule in graph.penalized(regularizer):
            at = _append(self.hyper, rule.params)
            if rule.penalty is not None:
                assert rule.slope is not None
                kernel = update.penalty_gradient(rule.slope, len(rule.params), dtype)
                self.slopes.add(kernel, at, parameter.offset, parameter.end)
                kernel = update.penalty(rule.penalty, len(rule.params), dtype)
                self.penalties.add(kernel, at, parameter.offset, parameter.end)
            if rule.project is not None:
                inputs, units = parameter.size // parameter.shape[-1], parameter.shape[-1]
                kernel, scratch = update.projection(rule.project, len(rule.params), dtype)
                self.projections.add(kernel, at, parameter.offset, inputs, units)
                self.scratch = max(self.scratch, scratch * units)
        for parameter in graph.parameters:
            if parameter.mask is not None:
                at = len(self.hyper)
                self.hyper += parameter.mask.ravel().astype(float).tolist()
                self.masks.add(update.mask, at, parameter.offset, parameter.end, parameter.offset, parameter.mask.size)
        if optimizer is not None:
            self._optimizer(graph, optimizer, dtype)
        for parameter in graph.parameters:
            if parameter.momentum is not None:
                at = _append(self.hyper, {"rate": 1 - parameter.momentum})
                self.updates.add(update.average, at, parameter.offset, parameter.end)

    def _optimizer(self, graph: Graph, optimizer: Optimizer, dtype: str) -> None:
        trained = [p for p in graph.parameters if p.trained]
        if optimizer.clip_value is not None:
            at = _append(self.hyper, {"limit": optimizer.clip_value})
            for first, last in _runs(trained):
                self.clips.add(update.clip, at, first, last)
        kernel = update.optimizer(
            optimizer.update, len(optimizer.states), coefficients(optimizer), len(optimizer.params),
            list(optimizer.params).index("learning_rate"), dtype,
        )  # fmt: skip
        at = _append(self.hyper, optimizer.params)
        if not any(optimizer.params[name] for name in optimizer.decay):
            for first, last in _runs(trained):
                self.updates.add(kernel, at, first, last, 1)
            return
        spared = _append(self.hyper, {**optimizer.params, **dict.fromkeys(optimizer.decay, 0.0)})
        for parameter in trained:
            self.updates.add(kernel, spared if parameter.bias else at, parameter.offset, parameter.end, 1)


def coefficients(optimizer: Optimizer) -> int:
    """How many numbers the optimiser's coefficients are: the arguments of update left over."""
    count = optimizer.update.__code__.co_argcount
    return count - 2 - len(optimizer.states) - len(optimizer.params)
