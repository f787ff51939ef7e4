"""Convolutions as a fraction of one core's peak: forward, dX and dW, each by itself."""

import time

import numpy as np

import numbanet as nn
from numbanet.cpu import conv, host
from numbanet.cpu.memory import aligned
from numbanet.cpu.peak import fma_peak
from numbanet.cpu.program import Program

from .workloads import pin

SHAPES = {  # height and width, channels, filters, window; a window of 3 with a margin
    "lenet 1": (28, 1, 6, 5), "lenet 2": (12, 6, 16, 5), "16 channels": (32, 16, 16, 3),
    "32 channels": (16, 32, 32, 3), "64 channels": (8, 64, 64, 3),
}  # fmt: skip
KERNELS = {"forward": conv.forward, "dX": conv.backward, "dW": conv.gradient}
BATCH, TRIES = 128, 20


class Convolution:
    """One operation over a batch, as many blocks at a time as a training step takes."""

    params = (list(SHAPES), list(KERNELS))
    param_names = ["shape", "operation"]
    timeout = 120

    def setup(self, shape: str, operation: str) -> None:
        pin(1)
        size, channels, filters, window = SHAPES[shape]
        padding = "same" if window == 3 else "valid"
        layers = [nn.Conv2D(channels, 1), nn.Conv2D(filters, window, padding=padding), nn.GlobalAvgPool()]
        model = nn.Sequential(layers, input_shape=(size, size, channels))
        program = Program(model.graph, "float32", nn.loss("mean_squared_error"), train=True)
        table = program.gradients if operation == "dW" else program.passes
        rows = [row for kernel, row in zip(table.kernels, table.rows, strict=True) if kernel is KERNELS[operation]]
        op = np.array(rows[0] if operation in ("dW", "dX") else rows[-1], np.int64)
        lanes, stride = program.tile.lanes, program.stride
        span = max(1, min(BATCH // lanes, host.L2 // (4 * stride)))
        work = aligned(span * stride, np.float32)
        work[:] = np.random.default_rng(0).standard_normal(work.size)
        self.flops = 2 * max(n.products for n in model.graph.nodes if n.window) * lanes * span
        weights, grads = model.parameters, aligned(model.graph.size, np.float32)
        if operation == "dW":
            self.run = lambda: conv.gradient(
                grads, op[1], work, op, 0, stride, span, lanes, 0, op[2], 0, np.zeros(1, np.int64)
            )
        else:
            hyper = np.zeros(1, np.float32)
            self.run = lambda: KERNELS[operation](weights, hyper, work, op, 0, stride, span, lanes)
        self.run()

    def track_fraction_of_peak(self, shape: str, operation: str) -> float:
        best = float("inf")
        for _ in range(TRIES):
            start = time.perf_counter()
            for _ in range(10):
                self.run()
            best = min(best, (time.perf_counter() - start) / 10)
        return self.flops / best / fma_peak("float32")

    track_fraction_of_peak.unit = "of FMA peak"  # type: ignore[attr-defined]
