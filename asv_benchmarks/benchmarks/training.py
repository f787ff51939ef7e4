"""Time, memory and share of the machine's peak of one training epoch."""

import numpy as np

from .common import Training
from .workloads import WORKLOADS, pin, seconds_a_step


class Epoch(Training):
    """One epoch of every workload."""

    def time_epoch(self, workload: str, threads: int) -> None:
        self.epoch()

    def peakmem_epoch(self, workload: str, threads: int) -> None:
        self.epoch()


class Peak(Training):
    """Share of the FMA peak, counted over whole steps, where the work is large enough to reach it."""

    params = (["mnist-mlp", "wide", "lenet"], [1, 2])
    unit = "fraction"

    def track_fraction_of_peak(self, workload: str, threads: int) -> float:
        from numbanet.cpu.peak import fma_peak

        work = WORKLOADS[workload]
        return work.flops / seconds_a_step(work, threads) / (threads * fma_peak("float32"))


class OnLine:
    """One sample a step: a pass of LeCun's network of 1989 over as many images as it learnt from."""

    timeout = 120

    def setup(self) -> None:
        import numbanet as nn

        pin(1)
        rng = np.random.default_rng(0)
        self.X = rng.uniform(-1, 1, (7291, 16, 16, 1)).astype(np.float32)
        self.y = 2 * np.eye(10, dtype=np.float32)[rng.integers(10, size=7291)] - 1
        self.trainer = nn.Trainer(nn.models.lecun1989(), "mean_squared_error", nn.SGD(0.01), threads=1, seed=0)
        self.time_epoch()

    def time_epoch(self) -> None:
        self.trainer.fit(self.X, self.y, epochs=1, batch_size=1, progress=False)
