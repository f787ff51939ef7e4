"""Time, memory and share of the machine's peak of one training epoch."""

from .common import Training
from .workloads import WORKLOADS, seconds_a_step


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
