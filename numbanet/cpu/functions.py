"""Functions of one model for other compiled code: inlined where they are small, calls of kernels otherwise."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import config

from numbanet.cpu import embedded, inlined
from numbanet.cpu import jacobian as slopes
from numbanet.cpu import predictor as outputs
from numbanet.cpu.program import Program, Scales
from numbanet.graph import Graph


class Functions:
    """Functions of one model.

    Parameters
    ----------
    graph : Graph
        The model.
    dtype : str
        Working type.
    scales : Scales
        Of inputs and outputs.
    buffers : int
        How many calls of kernels may be under way; more wait.
    """

    def __init__(self, graph: Graph, dtype: str, scales: Scales, buffers: int) -> None:
        self.graph, self.dtype, self.scales, self.buffers = graph, dtype, scales, buffers

    def predict(self) -> Any:
        """``predict(params, x, out)``."""
        program = Program(self.graph, self.dtype, scales=self.scales)
        return inlined.predict(program) if inlined.worthwhile(program) else self._predict("predict", "x")

    def predict_batch(self) -> Any:
        """``predict_batch(params, X, out)``."""
        return self._predict("predict_batch", "X")

    def _predict(self, name: str, x: str) -> Any:
        owner = outputs.Predictor(self.graph, self.dtype, self.scales)
        return embedded.embed(name, x, outputs.predict, owner, self.graph.output.size, self.buffers)

    def jacobian(self) -> Any:
        """``jacobian(params, x, out)``."""
        program = Program(self.graph, self.dtype, to_inputs=True, scales=self.scales)
        if inlined.worthwhile(program):
            return inlined.jacobian(program)
        owner = slopes.Jacobian(self.graph, self.dtype, self.scales)
        size = self.graph.output.size * self.graph.input.size
        return embedded.embed("jacobian", "x", slopes.jacobian, owner, size, self.buffers)

    @staticmethod
    def bound(predict: Any, params: np.ndarray, shape: tuple[int, ...]) -> Any:
        """``f(x)``, which predicts with these parameters into a new array."""
        dtype = params.dtype

        def f(x):  # type: ignore[no-untyped-def]
            out = np.empty(shape, dtype)
            predict(params, x, out)
            return out

        return f if config.DISABLE_JIT else numba.njit(nogil=True)(f)
