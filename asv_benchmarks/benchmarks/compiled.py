"""A network inside `@njit` code: one row, its Jacobian, and a batch as a share of the peak; one core, float32."""

import numba
import numpy as np

import numbanet as nn
from numbanet.cpu.peak import fma_peak
from numbanet.export import to_njit

from .workloads import fastest, pin

NETWORKS = {
    "64-64-10 relu": ((64, 64, 10), "relu"), "4-32-16-4 tanh": ((4, 32, 16, 4), "tanh"),
    "4-32-16-1 tanh": ((4, 32, 16, 1), "tanh"), "784-128-10 relu": ((784, 128, 10), "relu"),
}  # fmt: skip
FUNCTIONS = ("predict", "jacobian", "predict_batch")
ROWS = 1024


class Compiled:
    """Nanoseconds a sample, of a compiled loop over 64 samples, or of a batch."""

    params = (list(NETWORKS), list(FUNCTIONS))
    param_names = ["network", "function"]
    timeout = 120

    def setup(self, network: str, function: str) -> None:
        pin(1)
        (features, *hidden, outputs), activation = NETWORKS[network]
        model = nn.Sequential([*(nn.Dense(n, activation) for n in hidden), nn.Dense(outputs)], input_shape=features)
        called = getattr(to_njit(model), function)
        batch = function == "predict_batch"
        self.samples = ROWS if batch else 64
        X = np.random.default_rng(0).standard_normal((self.samples, features), dtype=np.float32)
        shape = {"predict": (outputs,), "jacobian": (outputs, features), "predict_batch": (ROWS, outputs)}[function]
        out, params = np.empty(shape, np.float32), model.parameters
        self.flops = 2 * sum(node.products for node in model.graph.nodes)

        @numba.njit
        def loop(params, X, out):  # type: ignore[no-untyped-def]
            for _ in range(16):
                if batch:
                    called(params, X, out)
                else:
                    for i in range(len(X)):
                        called(params, X[i], out)

        self.run = lambda: loop(params, X, out)
        self.run()

    def track_nanoseconds(self, network: str, function: str) -> float:
        return 1e9 * fastest(self.run) / (16 * self.samples)

    def track_fraction_of_peak(self, network: str, function: str) -> float:
        if function != "predict_batch":
            return float("nan")
        return 16 * self.samples * self.flops / fastest(self.run) / fma_peak("float32")

    track_nanoseconds.unit = "ns"  # type: ignore[attr-defined]
    track_fraction_of_peak.unit = "of FMA peak"  # type: ignore[attr-defined]
