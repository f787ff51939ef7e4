"""What benchmarks share: a network and its data, compiled and run once before anything is timed."""

from .workloads import WORKLOADS, Workload, cores, pin


class Training:
    """A workload on a number of threads.

    asv runs `setup` before each measurement, in the same process: its first epoch compiles the kernels or loads them
    from the disk cache, so that neither is timed.
    """

    params: tuple[list, ...] = (list(WORKLOADS), [1, 2])
    param_names = ["workload", "threads"]
    timeout = 300
    warmup_time = 0.0

    workload: Workload

    def setup(self, workload: str, threads: int) -> None:
        if threads > cores():
            raise NotImplementedError(f"{threads} threads want {threads} cores")
        pin(threads)
        self.workload = WORKLOADS[workload]
        self.X, self.y = self.workload.data()
        self.trainer = self.workload.trainer(threads)
        self.epoch()

    def epoch(self) -> None:
        """Train for one epoch."""
        self.trainer.fit(self.X, self.y, epochs=1, batch_size=self.workload.batch, progress=False)
