"""The CPU backend as the trainer sees it: owns buffers and plans, calls the driver."""

from __future__ import annotations

from typing import Any

import numpy as np

from numbanet._turns import Request, Turns, finish
from numbanet.checks import first_not
from numbanet.cpu import driver, update
from numbanet.cpu.memory import flat
from numbanet.cpu.plan import Operations
from numbanet.cpu.program import Program
from numbanet.cpu.runner import NO_FLOATS, Call, Runner
from numbanet.cpu.update_program import UpdateProgram, coefficients
from numbanet.graph import Graph
from numbanet.spec import Loss, Optimizer, Regularizer, Schedule

NO_OPERATIONS = np.empty(0, np.int64)


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
        self.dtype, self._runner = dtype, self._new_runner(graph, dtype, threads, deterministic)
        self.steps_done = 0  # by which the schedule goes
        self.reset()
        self._programs: dict[tuple[bool, bool], tuple[Any, UpdateProgram]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Without what belongs to this process: addresses of kernels, and buffers."""
        fresh = self._new_runner(self.graph, self.dtype, self._runner.threads, self._runner.deterministic)
        return {**self.__dict__, "_programs": {}, "_runner": fresh}

    def _new_runner(self, *arguments: Any) -> Any:
        return Runner(*arguments)

    # -- what the trainer calls ---------------------------------------------------------

    def train(self, *arguments: Any, **options: Any) -> tuple[np.ndarray, int]:
        """Do `training` alone."""
        losses, failed = finish(self.training(*arguments, **options))
        return losses, failed

    def training(
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
        penalized: bool = False,
    ) -> Turns:
        """Run whole epochs, changing ``params`` in place.

        With ``penalized`` the penalties are divided by the weight of each batch and are part of the losses, in which
        batches count by their samples.

        Returns
        -------
        losses : ndarray of float64
            Mean loss of each epoch that ended, without penalties unless they are asked for.
        failed : int
            Steps done before the loss, or in the last step a parameter, was not finite; or -1.
        """
        program, updates = self._program(True, classes)
        steps = -(-len(inputs) // batch)
        table = self._table(steps * epochs, factor)
        ops = Operations(
            program.passes.array(), np.array(program.stages), program.gradients.array(),
            np.concatenate([t.array() for t in (updates.slopes, updates.clips, updates.masks)]),
            updates.penalties.array() if penalized else NO_OPERATIONS, updates.updates.array(),
            updates.projections.array(),
        )  # fmt: skip
        call = Call(
            params, self.states, table, inputs, targets, weights, outputs, batch, epochs, epoch, self.steps_done, seed,
            shuffle, clip_norm=float(self.optimizer.clip_norm or 0.0), spread=penalized,
        )  # fmt: skip
        losses, failed = yield Request(self._runner, program, updates, ops, call)
        if failed < 0 and first_not(params, np.isfinite) is not None:
            failed = steps * epochs - 1
        ended = epochs if failed < 0 else failed // steps
        self.steps_done += ended * steps
        self.steps_since_reset += ended * steps
        return losses[:ended], failed

    @property
    def threads(self) -> int:
        """Workers at most."""
        return self._runner.threads

    @threads.setter
    def threads(self, count: int) -> None:
        self._runner.threads = count

    @property
    def order(self) -> np.ndarray:
        """Order of the samples in the last epoch."""
        return self._runner.order

    def memory(self) -> tuple[np.ndarray, int]:
        """What the optimiser remembers: its states, and the steps they are made of."""
        return self.states.copy(), self.steps_since_reset

    def restore(self, states: np.ndarray, since_reset: int, done: int) -> None:
        """Go on from what `memory` gave, after so many steps."""
        self.states, self.steps_since_reset, self.steps_done = states.copy(), since_reset, done

    def begin(self) -> None:
        """Before work on arrays that may have changed since the last."""

    def prepare(self, classes: bool) -> None:
        """Compile, or load, what training needs.

        Raises
        ------
        FormulaError
            If a formula can't be compiled.
        """
        self._program(True, classes)

    def undo(self, params: np.ndarray) -> None:
        """Put back the parameters of before the last epoch; what the optimiser remembers led astray, and goes."""
        params[:] = self._runner.buffers["backup"][: params.size]
        self.reset()

    def reset(self) -> None:
        """Begin the optimiser's states anew."""
        self.states = np.repeat(np.array(list(self.optimizer.states.values()), self.dtype), self.graph.size)
        self.steps_since_reset = 0

    def gradient(
        self,
        params: np.ndarray,
        inputs: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None,
        *,
        classes: bool,
        seed: int = 0,
        penalized: bool = False,
    ) -> tuple[float, np.ndarray]:
        """Mean loss with penalties, and its gradient with respect to the flat parameters.

        With ``penalized`` the penalties are divided by the weight of the samples.
        """
        program, updates = self._program(True, classes)
        transforms = np.concatenate([updates.slopes.array(), updates.masks.array()])
        ops = Operations(
            program.passes.array(), np.array(program.stages), program.gradients.array(), transforms,
            *[NO_OPERATIONS] * 3,
        )  # fmt: skip
        table = np.ones((1, 1), self.dtype)
        call = Call(
            params, self.states, table, inputs, targets, weights, batch=len(inputs), first=self.steps_done, seed=seed,
            spread=penalized,
        )  # fmt: skip
        losses, _ = self._runner.run(program, updates, ops, call)
        gradient = self._runner.buffers["grads"][: params.size].copy() if params.size else params.copy()
        for parameter in self.graph.parameters:
            if not parameter.trained:
                gradient[parameter.offset : parameter.end] = 0
        if not np.isfinite(losses[0]):
            gradient[:] = np.nan
        share = float(table[0, 0])  # what penalties were multiplied by
        return float(losses[0]) + share * self.penalty(params), gradient

    def evaluate(self, *arguments: Any, **options: Any) -> float:
        """Do `evaluation` alone."""
        return float(finish(self.evaluation(*arguments, **options)))

    def evaluation(
        self,
        params: np.ndarray,
        inputs: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None,
        *,
        classes: bool,
        outputs: np.ndarray | None = None,
    ) -> Turns:
        """Mean loss without penalties; ``outputs`` gets the model's outputs."""
        program, updates = self._program(False, classes)
        ops = Operations(program.passes.array(), np.array(program.stages), *[NO_OPERATIONS] * 5)
        table = np.ones((1, 1), self.dtype)
        call = Call(params, self.states, table, inputs, targets, weights, outputs, batch=len(inputs))
        losses, _ = yield Request(self._runner, program, updates, ops, call)
        return float(losses[0])

    def penalty(self, params: np.ndarray) -> float:
        """Sum of all penalties, which the loss of `gradient` includes."""
        _, updates = self._program(True, False)
        total, term, one = 0.0, np.zeros(1, self.dtype), np.ones(1, self.dtype)
        hyper, nothing = np.array(updates.hyper, self.dtype), NO_FLOATS[self.dtype]
        for kernel, row in zip(updates.penalties.kernels, updates.penalties.rows, strict=True):
            op = np.array(row, np.int64)
            for first in range(row[2], row[3], driver.CHUNK):  # short sums, for their accuracy
                term[:] = 0
                kernel(flat(params), term, 0, nothing, hyper, op, one, first, min(row[3], first + driver.CHUNK))
                total += float(term[0])
        return total

    # -- plans and buffers --------------------------------------------------------------

    def _program(self, train: bool, classes: bool) -> tuple[Any, UpdateProgram]:
        key = (train, classes)
        if key not in self._programs:
            self._programs[key] = self._new_program(train, classes)
        return self._programs[key]

    def _new_program(self, train: bool, classes: bool) -> tuple[Any, UpdateProgram]:
        program = Program(self.graph, self.dtype, self.loss, classes=classes, train=train)
        optimizer = self.optimizer if train else None
        return program, UpdateProgram(self.graph, optimizer, self.regularizer, self.dtype, program.hyper)

    def _table(self, steps: int, factor: float) -> np.ndarray:
        """Learning rate and coefficients of the steps to come, a row each."""
        optimizer, schedule = self.optimizer, self.schedule
        names = list(optimizer.params)
        results = coefficients(optimizer)
        table = np.ones((steps, 2 + results), self.dtype)
        rate, extra = (None, {}) if schedule is None or schedule.rate is None else (schedule.rate, schedule.params)
        if rate is None and optimizer.coefficients is None:
            table[:, 0] = optimizer.params["learning_rate"] * factor
            return table
        kernel = update.coefficients(
            optimizer.coefficients, len(names), names.index("learning_rate"), results, rate, len(extra)
        )
        hyper = np.array([*optimizer.params.values(), *extra.values()], float)
        kernel(table, self.steps_done, self.steps_since_reset, factor, hyper)
        return table
