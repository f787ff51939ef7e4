"""Derivatives of a model's outputs with respect to its inputs, ready to be called."""

from __future__ import annotations

import numpy as np

from numbanet.cpu.jit import kernel
from numbanet.cpu.lanes import COUNT, all_finite, gather, last_lanes, scatter
from numbanet.cpu.memory import aligned, flat, view
from numbanet.cpu.plan import WIDTH
from numbanet.cpu.predictor import run
from numbanet.cpu.program import Program, Scales
from numbanet.graph import Graph


@kernel
def jacobian(
    params, work, inputs, samples, out,
    forward, backward, hyper, features, outputs, stride, lanes, vector, narrow, input_row, output_slope, input_slope,
):  # fmt: skip
    """For each block, forward once, and back once for each output; ``out`` is (sample, output, feature).

    False if an input is not finite.
    """
    blocks = (samples + lanes - 1) // lanes
    for block in range(blocks):
        count = min(lanes, samples - block * lanes)
        width = lanes
        if block == blocks - 1:
            width = 1 if samples == 1 else last_lanes(samples, lanes, vector, narrow)
        rows = view(inputs, block * lanes * features, count * features)
        gather(rows, features, COUNT, 0, count, work, input_row * width, width, vector)
        if not all_finite(work, input_row * width, features * width):
            return False
        run(params, hyper, work, forward, stride, 1, width)
        for unit in range(outputs):
            view(work, output_slope * width, outputs * width)[:] = 0
            view(work, (output_slope + unit) * width, width)[:] = 1
            run(params, hyper, work, backward, stride, 1, width)
            for lane in range(count):
                at = ((block * lanes + lane) * outputs + unit) * features
                for f in range(features):
                    out[at + f] = work[(input_slope + f) * width + lane]
    return True


@kernel
def product(
    params, work, inputs, weights, samples, out,
    forward, backward, hyper, features, outputs, stride, lanes, vector, narrow, input_row, output_slope, input_slope,
):  # fmt: skip
    """For each block, forward once, and back once with the weights of the outputs; ``out`` is (sample, feature)."""
    blocks = (samples + lanes - 1) // lanes
    for block in range(blocks):
        count = min(lanes, samples - block * lanes)
        width = lanes if block < blocks - 1 else last_lanes(samples, lanes, vector, narrow)
        rows = view(inputs, block * lanes * features, count * features)
        gather(rows, features, COUNT, 0, count, work, input_row * width, width, vector)
        run(params, hyper, work, forward, stride, 1, width)
        rows = view(weights, block * lanes * outputs, count * outputs)
        gather(rows, outputs, COUNT, 0, count, work, output_slope * width, width, vector)
        run(params, hyper, work, backward, stride, 1, width)
        scatter(work, input_slope * width, features, width, out, block * lanes, count)


class Jacobian:
    """Derivatives of one model.

    Parameters
    ----------
    graph : Graph
        The model.
    dtype : str
        "float32" or "float64".
    scales : Scales, optional
        Of inputs and outputs.

    Attributes
    ----------
    size : int
        Elements of the buffer that the kernel works in.
    plan : tuple
        Arguments of the kernel behind those that change from call to call.
    """

    def __init__(self, graph: Graph, dtype: str, scales: Scales | None = None) -> None:
        program = Program(graph, dtype, to_inputs=True, scales=scales)
        operations, forward = program.passes.array(), program.forward_rows * WIDTH
        tile = program.tile
        self.graph, self.type = graph, np.dtype(dtype)
        self.shape = *graph.output.shape, *graph.input.shape
        self.size, self._program = program.stride, program  # keeps the kernels alive
        self.plan = (
            operations[:forward].copy(), operations[forward:].copy(), np.array(program.hyper, dtype),
            graph.input.size, graph.output.size, program.stride, tile.lanes, tile.vector, tile.narrow,
            program.place(graph.input), program.slope(graph.output), program.slope(graph.input),
        )  # fmt: skip

    def __call__(self, params: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """Derivatives at samples of the right type and shape."""
        out = np.empty((len(samples), *self.shape), self.type)
        work = aligned(self.size, self.type)
        jacobian(flat(params), work, flat(samples), len(samples), out.reshape(-1), *self.plan)
        return out

    def product(self, params: np.ndarray, samples: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Derivatives of sums of outputs, with weights of the shape (n, *outputs)."""
        out = np.empty((len(samples), *self.graph.input.shape), self.type)
        work = aligned(self.size, self.type)
        product(flat(params), work, flat(samples), flat(weights), len(samples), out.reshape(-1), *self.plan)
        return out
