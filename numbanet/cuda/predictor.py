"""The forward pass of one model on the device, ready to be called."""

from __future__ import annotations

from typing import Any

import numpy as np

from numbanet.cpu.plan import Operations
from numbanet.cpu.runner import Call
from numbanet.cuda import target
from numbanet.cuda.arrays import OnDevice, output, shared
from numbanet.cuda.program import programs
from numbanet.cuda.runner import DeviceRunner
from numbanet.graph import Graph

NOTHING = Operations(*[np.empty(0, np.int64)] * 7)


class DevicePredictor:
    """The forward pass of one model.

    Parameters
    ----------
    graph : Graph
        The model.
    dtype : str
        "float32" or "float64".
    choice : CUDA
        How launches share the work.
    """

    def __init__(self, graph: Graph, dtype: str, choice: Any) -> None:
        self.graph, self.type = graph, np.dtype(dtype)
        self.input_shape, self.output_shape = graph.input.shape, graph.output.shape
        self._runner = DeviceRunner(graph, dtype, choice)
        self._programs = programs(graph, dtype, None, False, False, None, None)

    def __call__(self, params: np.ndarray, samples: Any) -> Any:
        """Outputs of samples of the right type and shape, where the samples are."""
        count, size = len(samples), self.graph.output.size
        out = output(count * size, str(self.type))
        none = np.empty(0, self.type)
        call = Call(
            params, none, np.ones((1, 1), self.type), samples, none, None, outputs=out, batch=count  # type: ignore[arg-type]
        )
        self._runner.forget()  # the user may have written into the same samples
        self._runner.run(*self._programs, NOTHING, call)
        if isinstance(samples, OnDevice):
            return shared(out.array, (count, *self.output_shape))
        return target.fetch(out.array, count * size).reshape(count, *self.output_shape)
