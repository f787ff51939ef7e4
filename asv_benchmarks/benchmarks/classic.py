"""The history's networks: a layer of GMDH, which fits a polynomial to every pair of features."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from numbanet.classic.gmdh.selection import Selection

from .workloads import pin

FEATURES, SAMPLES, KEPT = 20, 10_000, 10  # 190 pairs


class Layer:
    """First layer, half of the samples to fit and half to select by; the goal on 2 cores is 50 ms."""

    params = (1, 2)
    param_names = ("threads",)
    timeout = 120

    def setup(self, threads: int) -> None:
        pin(threads)
        rng = np.random.default_rng(0)
        self.features = rng.normal(size=(FEATURES, SAMPLES))
        self.target = self.features[0] * self.features[1]
        self.selection = Selection("regularity", FEATURES, KEPT, threads)
        self.pool = ThreadPoolExecutor(threads)
        self.time_layer(threads)  # compiles

    def teardown(self, threads: int) -> None:
        self.pool.shutdown()

    def time_layer(self, threads: int) -> None:
        self.selection.layer(self.features, self.target, SAMPLES // 2, self.pool)
