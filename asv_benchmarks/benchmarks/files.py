"""Loading models from files, with the check of their sample rows."""

import os
import tempfile

from .workloads import pin

SIZES = {"digits": (64, 64, 10), "10 million": (498, 2500, 2500, 1000)}  # 4,810 and 10,001,000 parameters


class Load:
    """`nn.load` of a file in the system's cache, in a process whose kernels are ready."""

    params = (list(SIZES), ["float32", "float64"])
    param_names = ["network", "dtype"]
    timeout = 120

    def setup(self, network: str, dtype: str) -> None:
        import numbanet as nn

        pin(1)
        inputs, *hidden, outputs = SIZES[network]
        model = nn.Sequential([*(nn.Dense(units, "relu") for units in hidden), nn.Dense(outputs)])
        model.build((inputs,), dtype=dtype)
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "model.numbanet")
        model.save(self.path)
        self.load = nn.load
        self.load(self.path)

    def teardown(self, network: str, dtype: str) -> None:
        self.folder.cleanup()

    def time_load(self, network: str, dtype: str) -> None:
        self.load(self.path)

    def peakmem_load(self, network: str, dtype: str) -> None:
        self.load(self.path)
