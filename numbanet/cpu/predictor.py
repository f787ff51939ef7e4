"""The forward pass of one model, ready to be called."""

from __future__ import annotations

import threading

import numpy as np

from numbanet.cpu import driver, host
from numbanet.cpu.memory import aligned
from numbanet.cpu.program import Program
from numbanet.graph import Graph


class Predictor:
    """The forward pass of one model.

    Parameters
    ----------
    graph : Graph
        The model.
    dtype : str
        "float32" or "float64".
    """

    def __init__(self, graph: Graph, dtype: str) -> None:
        program = Program(graph, dtype)
        tile = program.tile
        self.type = np.dtype(dtype)
        self.input_shape, self.output_shape = graph.input.shape, graph.output.shape
        self.span = max(1, min(8, host.L2 // (program.stride * self.type.itemsize)))
        self._size = self.span * program.stride
        self._work = threading.local()  # each thread that predicts has blocks of its own
        self._program = program  # keeps the kernels alive
        self._plan = (
            program.passes.array(), np.array(program.hyper, dtype), graph.input.size, graph.output.size,
            program.stride, self.span, tile.lanes, tile.vector, program.place(graph.input), program.place(graph.output),
        )  # fmt: skip

    def __call__(self, params: np.ndarray, samples: np.ndarray) -> np.ndarray | None:
        """Outputs of samples of the right type and shape, or None if a sample is not finite."""
        work = getattr(self._work, "blocks", None)
        if work is None:
            work = self._work.blocks = aligned(self._size, self.type)
        out = np.empty((len(samples), *self.output_shape), self.type)
        fine = driver.predict(params, work, samples.reshape(-1), len(samples), out.reshape(-1), *self._plan)
        return out if fine else None
