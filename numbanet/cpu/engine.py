"""The CPU backend as the trainer sees it: owns buffers and plans, calls the driver."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from numbanet.checks import first_not
from numbanet.cpu import driver, host, update
from numbanet.cpu.memory import aligned, flat
from numbanet.cpu.plan import Data, Memory, Operations, Plan
from numbanet.cpu.program import Program, UpdateProgram, coefficients
from numbanet.cpu.threads import meeting, run_team
from numbanet.graph import Graph
from numbanet.spec import Loss, Optimizer, Regularizer, Schedule

SMALL_STEP = 4e6  # floating-point operations of a step below which one worker is faster
NO_FLOATS: dict[str, np.ndarray] = {t: np.empty(0, t) for t in ("float32", "float64")}
NO_OPERATIONS = np.empty(0, np.int64)


def available_threads() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def flops(graph: Graph) -> int:
    """Floating-point operations of a training step, for one sample."""
    return sum(6 * node.products for node in graph.nodes)


class Engine:
    """Training and evaluation of one model.

    Parameters
    ----------
    graph : Graph
        The model.
    loss : Loss
        Loss, computed on the model's outputs.
    optimizer : Optimizer
        Update rule.
    schedule : Schedule or None
        Course of the learning rate.
    regularizer : Regularizer or None
        Default penalty of the weights.
    dtype : str
        "float32" or "float64".
    threads : int
        Workers at most.
    deterministic : bool
        Whether the result must not depend on the number of workers.
    """

    def __init__(
        self,
        graph: Graph,
        loss: Loss,
        optimizer: Optimizer,
        schedule: Schedule | None,
        regularizer: Regularizer | None,
        *,
        dtype: str,
        threads: int,
        deterministic: bool = False,
    ) -> None:
        self.graph, self.loss, self.optimizer = graph, loss, optimizer
        self.schedule, self.regularizer = schedule, regularizer
        self.dtype, self.threads, self.deterministic = dtype, threads, deterministic
        self.steps_done = 0  # by which the schedule goes
        self.reset()
        self._programs: dict[tuple[bool, bool], tuple[Program, UpdateProgram]] = {}
        self._buffers: dict[str, np.ndarray] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Without what belongs to this process: addresses of kernels, and buffers."""
        return {**self.__dict__, "_programs": {}, "_buffers": {}}

    # -- what the trainer calls ---------------------------------------------------------

    def train(
        self,
        params: np.ndarray,
        inputs: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None,
        *,
        classes: bool,
        batch: int,
        epochs: int,
        epoch: int,
        seed: int,
        shuffle: bool = True,
        factor: float = 1.0,
        outputs: np.ndarray | None = None,
    ) -> tuple[np.ndarray, int]:
        """Run whole epochs, changing ``params`` in place.

        Returns
        -------
        losses : ndarray of float64
            Mean loss of each epoch that ended, without penalties.
        failed : int
            Steps done before the loss, or in the last step a parameter, was not finite; or -1.
        """
        program, updates = self._program(True, classes)
        steps = -(-len(inputs) // batch)
        table = self._table(steps * epochs, factor)
        ops = Operations(
            program.passes.array(), np.array(program.stages), program.gradients.array(),
            np.concatenate([t.array() for t in (updates.slopes, updates.clips, updates.masks)]),
            updates.updates.array(), updates.projections.array(),
        )  # fmt: skip
        losses, failed = self._run(
            program, updates, ops, params, inputs, targets, weights, table,
            batch=batch, epochs=epochs, epoch=epoch, seed=seed, shuffle=shuffle, outputs=outputs,
        )  # fmt: skip
        if failed < 0 and first_not(params, np.isfinite) is not None:
            failed = steps * epochs - 1
        ended = epochs if failed < 0 else failed // steps
        self.steps_done += ended * steps
        self.steps_since_reset += ended * steps
        return losses[:ended], failed

    def memory(self) -> tuple[np.ndarray, int]:
        """What the optimiser remembers: its states, and the steps they are made of."""
        return self.states.copy(), self.steps_since_reset

    def prepare(self, classes: bool) -> None:
        """Compile, or load, what training needs.

        Raises
        ------
        FormulaError
            If a formula can't be compiled.
        """
        self._program(True, classes)

    def undo(self, params: np.ndarray, memory: tuple[np.ndarray, int] | None = None) -> None:
        """Put back the parameters of before the last epoch, and what the optimiser remembered or nothing."""
        params[:] = self._buffers["backup"][: params.size]
        if memory is None:
            self.reset()
        else:
            self.states, self.steps_since_reset = memory

    def reset(self) -> None:
        """Begin the optimiser's states anew."""
        self.states = np.repeat(np.array(list(self.optimizer.states.values()), self.dtype), self.graph.size)
        self.steps_since_reset = 0

    def gradient(
        self, params: np.ndarray, inputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None, *, classes: bool
    ) -> tuple[float, np.ndarray]:
        """Mean loss with penalties, and its gradient with respect to the flat parameters."""
        program, updates = self._program(True, classes)
        transforms = np.concatenate([updates.slopes.array(), updates.masks.array()])
        ops = Operations(
            program.passes.array(), np.array(program.stages), program.gradients.array(), transforms, NO_OPERATIONS,
            NO_OPERATIONS,
        )  # fmt: skip
        losses, _ = self._run(
            program, updates, ops, params, inputs, targets, weights, np.zeros(2, self.dtype), batch=len(inputs)
        )
        gradient = self._buffers["grads"][: params.size].copy()
        for parameter in self.graph.parameters:
            if not parameter.trained:
                gradient[parameter.offset : parameter.end] = 0
        if not np.isfinite(losses[0]):
            gradient[:] = np.nan
        return float(losses[0]) + self.penalty(params), gradient

    def evaluate(
        self,
        params: np.ndarray,
        inputs: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None,
        *,
        classes: bool,
        outputs: np.ndarray | None = None,
    ) -> float:
        """Mean loss without penalties; ``outputs`` gets the model's outputs."""
        program, updates = self._program(False, classes)
        ops = Operations(program.passes.array(), np.array(program.stages), *[NO_OPERATIONS] * 4)
        losses, _ = self._run(
            program, updates, ops, params, inputs, targets, weights, np.zeros(2, self.dtype),
            batch=len(inputs), outputs=outputs,
        )  # fmt: skip
        return float(losses[0])

    def penalty(self, params: np.ndarray) -> float:
        """Sum of all penalties, which the loss of `gradient` includes."""
        _, updates = self._program(True, False)
        total, terms = 0.0, np.empty(params.size, self.dtype)
        hyper, nothing = np.array(updates.hyper, self.dtype), NO_FLOATS[self.dtype]
        for kernel, row in zip(updates.penalties.kernels, updates.penalties.rows, strict=True):
            first, last = row[2], row[3]
            kernel(flat(params), terms, first, nothing, hyper, np.array(row, np.int64), nothing, first, last)
            total += float(terms[first:last].sum(dtype=np.float64))
        return total

    # -- plans and buffers --------------------------------------------------------------

    def _program(self, train: bool, classes: bool) -> tuple[Program, UpdateProgram]:
        key = (train, classes)
        if key not in self._programs:
            program = Program(self.graph, self.dtype, self.loss, classes=classes, train=train)
            updates = UpdateProgram(
                self.graph, self.optimizer if train else None, self.regularizer, self.dtype, program.hyper
            )
            self._programs[key] = program, updates
        return self._programs[key]

    def _table(self, steps: int, factor: float) -> np.ndarray:
        """Learning rate and coefficients of the steps to come, a row each."""
        optimizer, schedule = self.optimizer, self.schedule
        names = list(optimizer.params)
        results = coefficients(optimizer)
        table = np.empty((steps, 1 + results), self.dtype)
        rate, extra = (None, {}) if schedule is None or schedule.rate is None else (schedule.rate, schedule.params)
        if rate is None and optimizer.coefficients is None:
            table[:] = optimizer.params["learning_rate"] * factor
            return table
        kernel = update.coefficients(
            optimizer.coefficients, len(names), names.index("learning_rate"), results, rate, len(extra)
        )
        hyper = np.array([*optimizer.params.values(), *extra.values()], float)
        kernel(table, self.steps_done, self.steps_since_reset, factor, hyper)
        return table

    def _buffer(self, name: str, size: int) -> np.ndarray:
        """A buffer that is kept, and grown when a larger one is needed."""
        if name not in self._buffers or self._buffers[name].size < size:
            self._buffers[name] = aligned(size, self.dtype)
        return self._buffers[name][:size]

    def _layout(self, program: Program, batch: int) -> tuple[int, bool, int]:
        """Workers, whether they share blocks, and the blocks in a span."""
        blocks = -(-batch // program.tile.lanes)
        size = program.stride * np.dtype(self.dtype).itemsize
        workers = 1 if batch * flops(self.graph) < SMALL_STEP else max(1, min(self.threads, blocks))
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

    def _run(
        self,
        program: Program,
        updates: UpdateProgram,
        ops: Any,
        params: np.ndarray,
        inputs: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None,
        table: np.ndarray,
        *,
        batch: int,
        epochs: int = 1,
        epoch: int = 0,
        seed: int = 0,
        shuffle: bool = False,
        outputs: np.ndarray | None = None,
    ) -> tuple[np.ndarray, int]:
        samples, lanes = len(inputs), program.tile.lanes
        batch = min(batch, samples)
        workers, shared, span = self._layout(program, batch)
        norm = float(self.optimizer.clip_norm or 0.0) if ops.updates.size else 0.0
        none = NO_FLOATS[self.dtype]
        self.order = np.arange(samples)
        training = ops.gradients.size > 0
        fused = 0
        if shared and norm == 0 and ops.updates.size and self.graph.size > 4 * driver.FUSED and batch <= span * lanes:
            columns = [row[3] for row in program.gradients.rows]
            fused = max(driver.FUSED, 24 * max(columns))
        ahead = 1 + 2 * (batch + 1 + len(self.optimizer.states)) if fused else 0  # samples, parameters, states
        grads = none
        if training:
            gradients = fused * workers if fused else self.graph.size * (1 if shared else workers)
            grads = self._buffer("grads", max(updates.scratch, gradients))
        memory = Memory(
            flat(params), grads, self.states, np.array(program.hyper, self.dtype),
            self._buffer("work", span * program.stride * (1 if shared else workers)),
            table.ravel(), self._buffer("backup", self.graph.size) if ops.updates.size else none,
            none if outputs is None else flat(outputs),
        )  # fmt: skip
        data = Data(
            flat(inputs), flat(targets), none if weights is None else flat(weights),
            self.order, np.zeros(-(-batch // lanes) + workers), np.zeros(epochs),
            np.zeros(-(-self.graph.size // driver.CHUNK)), np.zeros(workers * ahead, np.int64),
        )  # fmt: skip
        plan = Plan(
            workers=workers, samples=samples, batch=batch, features=self.graph.input.size,
            target=program.target_columns, outputs=self.graph.output.size, lanes=lanes,
            vector=program.tile.vector, narrow=program.tile.narrow, stride=program.stride, span=span, ahead=ahead,
            fused=fused, input_row=program.place(self.graph.input), target_row=program.target_row,
            weight_row=program.weight_row, total_row=program.total_row, output_row=program.place(self.graph.output),
            key_row=program.key_row, tail=program.tail, first=self.steps_done, seed=seed, epoch=epoch, epochs=epochs,
            shuffle=int(shuffle and batch < samples), clip_norm=norm, shared=int(shared),
            coefficients=table.size // (-(-samples // batch) * epochs),
        )  # fmt: skip
        meet = meeting(workers)
        failed = run_team(workers, lambda worker: driver.train(worker, plan, data, memory, ops, meet), meet)
        return data.results, failed
