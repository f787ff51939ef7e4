"""The forward pass of one model, ready to be called."""

from __future__ import annotations

import threading

import numpy as np
from numba import config

from numbanet.cpu import host
from numbanet.cpu.jit import code, inline, invoke, kernel, signatures
from numbanet.cpu.lanes import COUNT, all_finite, gather, last_lanes, scatter
from numbanet.cpu.memory import aligned, flat, view
from numbanet.cpu.plan import WIDTH
from numbanet.cpu.program import Program, Scales
from numbanet.graph import Graph


@inline
def run(params, hyper, work, ops, stride, blocks, lanes):
    """Operations of a table on blocks that start where the buffer does."""
    for k in range(ops.size // WIDTH):
        op = view(ops, k * WIDTH, WIDTH)
        invoke(op[0], params, hyper, work, op, 0, stride, blocks, lanes)


@kernel
def predict(
    params, work, inputs, samples, out,
    ops, hyper, features, outputs, stride, span, lanes, vector, narrow, input_row, output_row,
):  # fmt: skip
    """Outputs of consecutive samples, a span of blocks at a time; False if an input is not finite."""
    blocks = (samples + lanes - 1) // lanes
    last = 1 if samples == 1 else last_lanes(samples, lanes, vector, narrow)
    begin = 0
    while begin < blocks:
        end = min(begin + span, blocks)
        width = lanes
        if end == blocks and last < lanes:  # a narrow block is a span of its own
            if end - begin > 1:
                end -= 1
            else:
                width = last
        for i in range(begin, end):
            count = min(lanes, samples - i * lanes)
            rows = view(inputs, i * lanes * features, count * features)
            at = (i - begin) * stride + input_row * width
            gather(rows, features, COUNT, 0, count, work, at, width, vector)
            if not all_finite(work, at, features * width):
                return False
        run(params, hyper, work, ops, stride, end - begin, width)
        for i in range(begin, end):
            count = min(lanes, samples - i * lanes)
            scatter(work, (i - begin) * stride + output_row * width, outputs, width, out, i * lanes, count)
        begin = end
    return True


class Predictor:
    """The forward pass of one model.

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
        program = Program(graph, dtype, scales=scales)
        tile = program.tile
        self.graph, self.type = graph, np.dtype(dtype)
        self.input_shape, self.output_shape = graph.input.shape, graph.output.shape
        self.span = max(1, min(8, host.L2 // (program.stride * self.type.itemsize)))
        self.size = self.span * program.stride
        self._work = threading.local()  # each thread that predicts has blocks of its own
        self._program = program  # keeps the kernels alive
        self.plan = (
            program.passes.array(), np.array(program.hyper, dtype), graph.input.size, graph.output.size,
            program.stride, self.span, tile.lanes, tile.vector, tile.narrow, program.place(graph.input),
            program.output_row,
        )  # fmt: skip

    def code(self) -> str | None:
        """What LLVM has made of the kernels, or None where nothing is compiled."""
        if config.DISABLE_JIT:
            return None
        signature = signatures(str(self.type))[0]
        return "\n".join(code(kernel, signature) for kernel in self._program.passes.kernels)

    def __call__(self, params: np.ndarray, samples: np.ndarray) -> np.ndarray | None:
        """Outputs of samples of the right type and shape, or None if a sample is not finite."""
        work = getattr(self._work, "blocks", None)
        if work is None:
            work = self._work.blocks = aligned(self.size, self.type)
        out = np.empty((len(samples), *self.output_shape), self.type)
        fine = predict(flat(params), work, flat(samples), len(samples), out.reshape(-1), *self.plan)
        return out if fine else None
