"""One call of the driver: how the work is split, the buffers, the plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numbanet.cpu import driver, host
from numbanet.cpu.memory import aligned, flat
from numbanet.cpu.plan import Data, Memory, Operations, Plan
from numbanet.cpu.program import Program
from numbanet.cpu.threads import meeting, run_team
from numbanet.cpu.update_program import UpdateProgram
from numbanet.graph import Graph

SMALL_STEP = 4e6  # floating-point operations of a step below which one worker is faster
NO_FLOATS: dict[str, np.ndarray] = {t: np.empty(0, t) for t in ("float32", "float64")}


@dataclass
class Call:
    """What a call of the driver works on.

    Attributes
    ----------
    params, states, table : ndarray
        Parameters and what the optimiser remembers, which change, and a row of coefficients for each step.
    inputs, targets, weights : ndarray
        Samples; no weights are weights of 1.
    outputs : ndarray or None
        Gets the model's outputs.
    batch, epochs : int
        Samples in a step, passes over all.
    epoch, first : int
        Epochs and steps done before, by which chance goes.
    seed : int
        Of chance.
    shuffle : bool
        Whether epochs have an order of their own.
    clip_norm : float
        Largest norm of the gradient, or 0.
    spread : bool
        Whether penalties are divided by the weight of each batch, and batches count by their samples in the loss.
    """

    params: np.ndarray
    states: np.ndarray
    table: np.ndarray
    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None
    outputs: np.ndarray | None = None
    batch: int = 1
    epochs: int = 1
    epoch: int = 0
    first: int = 0
    seed: int = 0
    shuffle: bool = False
    clip_norm: float = 0.0
    spread: bool = False


class Runner:
    """Calls the driver, and keeps its buffers from call to call.

    Parameters
    ----------
    graph : Graph
        The model.
    dtype : str
        Working type.
    threads : int
        Workers at most.
    deterministic : bool
        Whether the result must not depend on the number of workers.

    Attributes
    ----------
    buffers : dict of str to ndarray
        "grads", "work" and "backup", the parameters from before the last epoch.
    order : ndarray
        Order of the samples in the last epoch.
    """

    def __init__(self, graph: Graph, dtype: str, threads: int, deterministic: bool) -> None:
        self.graph, self.dtype, self.threads, self.deterministic = graph, dtype, threads, deterministic
        self.buffers: dict[str, np.ndarray] = {}
        self.order = np.empty(0, np.int64)

    def layout(self, program: Program, batch: int) -> tuple[int, bool, int]:
        """Workers, whether they share blocks, and the blocks in a span."""
        blocks = -(-batch // program.tile.lanes)
        size = program.stride * np.dtype(self.dtype).itemsize
        workers = 1 if batch * self.graph.flops < SMALL_STEP else max(1, min(self.threads, blocks))
        cached = max(1, host.L2 // size)
        if len(program.stages) > 2:
            return workers, True, blocks  # that all blocks come as far before any goes on
        if self.deterministic or workers == 1:
            # weights are read for each span, and large ones want few; bits must not depend on the workers' number
            few = self.deterministic or self.graph.size > program.stride
            return workers, True, min(blocks, max(4 if few else 1, cached))
        if self.graph.size > blocks * program.tile.lanes * program.rows // 2:
            return workers, True, blocks
        return workers, False, max(1, min(cached, -(-blocks // workers)))

    def run(
        self, program: Program, updates: UpdateProgram, ops: Operations, call: Call
    ) -> tuple[np.ndarray, int]:
        """Losses of the epochs, and the steps done before one failed, or -1."""
        samples, lanes, size = len(call.inputs), program.tile.lanes, self.graph.size
        batch = min(call.batch, samples)
        workers, shared, span = self.layout(program, batch)
        trains, none = ops.updates.size > 0, NO_FLOATS[self.dtype]
        fused = 0  # gradients used up as they come, unless something needs them whole
        whole = call.clip_norm > 0 or ops.penalties.size > 0 or batch > span * lanes
        if trains and shared and not whole and size > 4 * driver.FUSED:
            fused = max(driver.FUSED, 24 * max(row[3] for row in program.gradients.rows))
        # samples, parameters, states
        ahead = 1 + 2 * (batch + 1 + call.states.size // size) if fused else 0
        grads = none
        if ops.gradients.size:
            gradients = fused * workers if fused else size * (1 if shared else workers)
            sums = -(-size // driver.CHUNK) if ops.penalties.size else 0
            grads = self._buffer("grads", max(updates.scratch, gradients) + sums)
        self.order = np.arange(samples)
        memory = Memory(
            flat(call.params), grads, call.states, np.array(program.hyper, self.dtype),
            self._buffer("work", span * program.stride * (1 if shared else workers)),
            call.table.ravel(), self._buffer("backup", size) if trains else none,
            none if call.outputs is None else flat(call.outputs),
        )  # fmt: skip
        data = Data(
            flat(call.inputs), flat(call.targets), none if call.weights is None else flat(call.weights),
            self.order, np.zeros(-(-batch // lanes) + workers), np.zeros(call.epochs),
            np.zeros(-(-size // driver.CHUNK)), np.zeros(workers * ahead, np.int64),
        )  # fmt: skip
        plan = Plan(
            workers=workers, samples=samples, batch=batch, features=self.graph.input.size,
            target=program.target_columns, outputs=self.graph.output.size, lanes=lanes,
            vector=program.tile.vector, narrow=program.tile.narrow, stride=program.stride, span=span, ahead=ahead,
            fused=fused, input_row=program.place(self.graph.input), target_row=program.target_row,
            weight_row=program.weight_row, total_row=program.total_row, output_row=program.place(self.graph.output),
            key_row=program.key_row, tail=program.tail, first=call.first, seed=call.seed, epoch=call.epoch,
            epochs=call.epochs, shuffle=int(call.shuffle and batch < samples), clip_norm=call.clip_norm,
            shared=int(shared), spread=int(call.spread), coefficients=call.table.shape[-1],
        )  # fmt: skip
        meet = meeting(workers)
        failed = run_team(workers, lambda worker: driver.train(worker, plan, data, memory, ops, meet), meet)
        return data.results, failed

    def _buffer(self, name: str, size: int) -> np.ndarray:
        """A buffer that is kept, and grown when a larger one is needed."""
        if name not in self.buffers or self.buffers[name].size < size:
            self.buffers[name] = aligned(size, self.dtype)
        return self.buffers[name][:size]
