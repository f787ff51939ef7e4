"""One step, operation by operation, so that everything that is computed on the way can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from numbanet.cpu.driver import NOISE
from numbanet.cpu.jit import kernel
from numbanet.cpu.lower import lowering
from numbanet.cpu.memory import aligned, flat
from numbanet.cpu.plan import WIDTH
from numbanet.cpu.predictor import run
from numbanet.cpu.program import Program
from numbanet.cpu.random import lane_key, mix
from numbanet.graph import Graph, Node, Value
from numbanet.spec import Loss

Mark = tuple[int, str, Node | None, Value]  # operations so far, "forward" or "backward", whose they are, what they made


@kernel
def operate(params, hyper, work, ops, stride, blocks, lanes):
    """Run operations on all blocks."""
    run(params, hyper, work, ops, stride, blocks, lanes)


@kernel
def keys(seed, step, out):
    """Random words of the samples of a step."""
    key = mix(mix(np.uint64(seed) ^ NOISE) + np.uint64(step))
    for i in range(out.size):
        out[i] = lane_key(key, i)


class TracedProgram(Program):
    """Lowered as for training; notes where what each node makes is complete."""

    def __init__(self, graph: Graph, dtype: str, loss: Loss, *, classes: bool) -> None:
        self.marks: list[Mark] = []
        super().__init__(graph, dtype, loss, classes=classes, train=True)

    def forward(self) -> None:
        """Forward operations of every node."""
        for node in self.graph.nodes:
            lowering(node.kind)[0](self, node)
            self.marks.append((len(self.passes.rows), "forward", node, node.output))

    def add_loss(self, loss: Loss, classes: bool) -> None:
        """Operations from targets and outputs to the loss and its gradient."""
        super().add_loss(loss, classes)
        self.marks.append((len(self.passes.rows), "backward", None, self.graph.output))

    def go_back(self, nodes: list[Node]) -> None:
        """Backward operations of nodes, from the last."""
        for node in reversed(nodes):
            super().go_back([node])
            if node.input in self.slopes:
                self.marks.append((len(self.passes.rows), "backward", node, node.input))


def traced(
    graph: Graph, dtype: str, loss: Loss, params: np.ndarray, samples: np.ndarray, targets: np.ndarray,
    weights: np.ndarray | None, *, classes: bool, seed: int, step: int,
) -> Iterator[tuple[str, Node | None, Value, np.ndarray]]:  # fmt: skip
    """What one step computes.

    Parameters
    ----------
    graph : Graph
        The model.
    dtype : str
        Working type.
    loss : Loss
        What is minimised.
    params, samples, targets, weights : ndarray
        Of the working type; weights may be None.
    classes : bool
        Whether targets are class labels.
    seed, step : int
        Of noise.

    Yields
    ------
    direction : str
        "forward" or "backward".
    node : Node or None
        Whose operations they are; None of the loss.
    value : Value
        What was computed, or what the derivative is of.
    array : ndarray of shape (n, ...)
        Values, or derivatives of the mean loss.
    """
    program = TracedProgram(graph, dtype, loss, classes=classes)
    lanes, n = program.tile.lanes, len(samples)
    blocks = -(-n // lanes)
    work = aligned(blocks * program.stride, dtype)
    work[:] = 0
    rows: Any = work.reshape(blocks, program.stride)[:, : program.rows * lanes].reshape(blocks, program.rows, lanes)

    def put(first: int, values: np.ndarray) -> None:
        """Write columns of samples; lanes beyond the last sample have what the first has."""
        filled = np.concatenate([values, np.broadcast_to(values[:1], (blocks * lanes - n, values.shape[1]))])
        rows[:, first : first + values.shape[1]] = filled.reshape(blocks, lanes, -1).swapaxes(1, 2)

    share = np.full(n, 1.0) if weights is None else weights.astype(np.float64)
    put(program.place(graph.input), samples.reshape(n, -1))
    put(program.target_row, targets.reshape(n, -1))
    put(program.weight_row, (share / share.sum()).astype(dtype)[:, np.newaxis])
    beyond = np.arange(blocks * lanes).reshape(blocks, lanes) >= n
    rows[:, program.weight_row][beyond] = 0
    if program.key_row >= 0:
        words = np.empty(blocks * lanes, np.uint32)
        keys(seed, step, words)
        for block in range(blocks):
            rows[block, program.key_row].view(np.uint32)[:lanes] = words[block * lanes :][:lanes]
    operations, hyper, begin = program.passes.array(), np.array(program.hyper or [0.0], dtype), 0
    for end, direction, node, value in program.marks:
        operate(flat(params), hyper, work, operations[begin * WIDTH : end * WIDTH], program.stride, blocks, lanes)
        begin = end
        first = program.place(value) if direction == "forward" else program.slope(value)
        found = rows[:, first : first + value.size].swapaxes(1, 2).reshape(blocks * lanes, -1)[:n]
        yield direction, node, value, found.reshape(n, *value.shape).copy()
