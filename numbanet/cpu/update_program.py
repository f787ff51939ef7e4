"""From an optimiser, regularizers and constraints to tables of operations."""

from __future__ import annotations

from numbanet.cpu import update
from numbanet.cpu.jit import signatures
from numbanet.cpu.program import Table, append
from numbanet.graph import Graph, Parameter
from numbanet.spec import Optimizer, Regularizer


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
    here : bool
        Whether kernels are for this machine.
    """

    def __init__(
        self, graph: Graph, optimizer: Optimizer | None, regularizer: Regularizer | None, dtype: str,
        hyper: list[float], *, here: bool = True,
    ) -> None:
        signature = signatures(dtype)[2] if here else None
        self.updates, self.projections = Table(signature), Table(signature)
        self.penalties, self.slopes, self.clips = Table(signature), Table(signature), Table(signature)
        self.masks = Table(signature)
        self.hyper, self.size, self.scratch = hyper, graph.size, 0
        for parameter, rule in graph.penalized(regularizer):
            at = append(self.hyper, rule.params)
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
                at = append(self.hyper, {"rate": 1 - parameter.momentum})
                self.updates.add(update.average, at, parameter.offset, parameter.end)

    def _optimizer(self, graph: Graph, optimizer: Optimizer, dtype: str) -> None:
        trained = [p for p in graph.parameters if p.trained]
        if optimizer.clip_value is not None:
            at = append(self.hyper, {"limit": optimizer.clip_value})
            for first, last in _runs(trained):
                self.clips.add(update.clip, at, first, last)
        kernel = update.optimizer(
            optimizer.update, len(optimizer.states), coefficients(optimizer), len(optimizer.params),
            list(optimizer.params).index("learning_rate"), dtype,
        )  # fmt: skip
        at = append(self.hyper, optimizer.params)
        if not any(optimizer.params[name] for name in optimizer.decay):
            for first, last in _runs(trained):
                self.updates.add(kernel, at, first, last, 1)
            return
        spared = append(self.hyper, {**optimizer.params, **dict.fromkeys(optimizer.decay, 0.0)})
        for parameter in trained:
            self.updates.add(kernel, spared if parameter.bias else at, parameter.offset, parameter.end, 1)


def _runs(parameters: list[Parameter]) -> list[tuple[int, int]]:
    """First and past the last element of neighbours in the flat vector, taken together."""
    runs: list[tuple[int, int]] = []
    for p in parameters:
        first = runs.pop()[0] if runs and runs[-1][1] == p.offset else p.offset
        runs.append((first, p.end))
    return runs


def coefficients(optimizer: Optimizer) -> int:
    """How many numbers the optimiser's coefficients are: the arguments of update left over."""
    count = optimizer.update.__code__.co_argcount
    return count - 2 - len(optimizer.states) - len(optimizer.params)
