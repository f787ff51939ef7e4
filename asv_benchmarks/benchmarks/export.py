"""Predictions beside ONNX Runtime's of the same model, exported."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from .workloads import cores, fastest, pin

ROUNDS = 5


def networks() -> dict[str, tuple[list[Any], tuple[int, ...]]]:
    """Layers and the shape of a sample."""
    import numbanet as nn

    return {
        "64-64-10": ([nn.Dense(64, "relu"), nn.Dense(10)], (64,)),
        "784-128-10": ([nn.Dense(128, "relu"), nn.Dense(10)], (784,)),
        "LeNet-5": (nn.models.lenet5().layers, (28, 28, 1)),
    }


class OnnxRuntime:
    """One row, and a batch of 1,000: NumPy arrays in and out, from Python.

    The two take turns in one process, pinned to as many cores as there are threads. `model.predict` works on the thread
    that calls it: on two threads each half of a batch is a call of its own, from a pool of Python's. A figure is that
    of the fastest call, or run of calls where they are short, of five rounds.
    """

    params = (["64-64-10", "784-128-10", "LeNet-5"], [1, 1000], [1, 2])
    param_names = ["network", "rows", "threads"]
    timeout = 300

    def setup(self, network: str, rows: int, threads: int) -> None:
        if threads > cores():
            raise NotImplementedError(f"{threads} threads want {threads} cores")
        for package in ("onnx", "onnxruntime"):
            if importlib.util.find_spec(package) is None:
                raise NotImplementedError(f"{package} is not installed")
        pin(threads)
        import onnxruntime

        import numbanet as nn
        from numbanet.export import to_onnx

        layers, shape = networks()[network]
        model = nn.Sequential(layers, shape)
        X = np.random.default_rng(0).standard_normal((rows, *shape), dtype=np.float32)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = onnxruntime.InferenceSession(to_onnx(model).SerializeToString(), options, ["CPUExecutionProvider"])
        self.calls: dict[str, Callable[[], Any]] = {
            "numbanet": lambda: model.predict(X), "onnxruntime": lambda: session.run(None, {"input": X})[0],
        }  # fmt: skip
        if threads > 1 < rows:
            pool, parts = ThreadPoolExecutor(threads), np.array_split(X, threads)
            self.calls["numbanet"] = lambda: np.concatenate(list(pool.map(model.predict, parts)))
        np.testing.assert_allclose(*(call() for call in self.calls.values()), rtol=1e-3, atol=1e-4)

    def seconds(self) -> dict[str, float]:
        """Of one call of each."""
        best = dict.fromkeys(self.calls, float("inf"))
        for _ in range(ROUNDS):
            for library, call in self.calls.items():
                time.sleep(0.05)  # threads of ONNX Runtime spin for a while after their work
                many = max(1, round(2e-4 / fastest(call, seconds=0.01)))

                def several(call: Callable[[], Any] = call, many: int = many) -> None:
                    for _ in range(many):
                        call()

                best[library] = min(best[library], fastest(several, seconds=0.2) / many)
        return best

    def track_ratio(self, network: str, rows: int, threads: int) -> float:
        found = self.seconds()
        return found["onnxruntime"] / found["numbanet"]

    def track_numbanet(self, network: str, rows: int, threads: int) -> float:
        return self.seconds()["numbanet"] * 1e6

    def track_onnxruntime(self, network: str, rows: int, threads: int) -> float:
        return self.seconds()["onnxruntime"] * 1e6


OnnxRuntime.track_ratio.unit = "times numbanet's time"  # type: ignore[attr-defined]
OnnxRuntime.track_numbanet.unit = OnnxRuntime.track_onnxruntime.unit = "us"  # type: ignore[attr-defined]
