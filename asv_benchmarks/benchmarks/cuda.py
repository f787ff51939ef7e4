"""Kernels that train on a card, compiled without one: registers of a thread, and the seconds it takes."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

COMPILE = """
import sys
import time
from unittest import mock

import numba.cuda.dispatcher
from numba import cuda

import numbanet as nn
from numbanet.cuda.launch import Launch
from numbanet.cuda.program import programs
from numbanet.cuda.shape import Shape
from numbanet.registry import get


class Device:
    compute_capability = (9, 0)


network, path, file = sys.argv[1:]
if network == "LeNet-5":
    graph = nn.Sequential(nn.models.lenet5().layers, input_shape=(28, 28, 1)).graph
else:
    graph = nn.Sequential([nn.Dense(64, "relu"), nn.Dense(64, "relu"), nn.Dense(64)], input_shape=64).graph
shape = Shape(False, 132, 256, 32, 132, True) if path == "fused" else Shape(True, 132, 256, 128, 8, False)
with mock.patch.object(numba.cuda.dispatcher, "get_current_device", lambda: Device):
    began = time.process_time()
    loss, optimizer = get("loss", "mean_squared_error"), get("optimizer", "adam")
    launch = Launch(*programs(graph, "float32", loss, False, True, optimizer, None), shape, 0.0)
    ptx, _ = cuda.compile_ptx(launch.kernel.function, launch.kernel.signature, cc=(9, 0), launch_bounds=shape.threads)
    print(time.process_time() - began)
open(file, "w").write(ptx)
"""


class Registers:
    """Of a kernel that trains, for compute capability 9.0."""

    params = (["64-64-64-64", "LeNet-5"], ["fused", "direct"])
    param_names = ["network", "path"]
    timeout = 300

    def setup(self, *_: Any) -> None:
        for found, what in ((importlib.util.find_spec("numba_cuda"), "numba-cuda"), (shutil.which("ptxas"), "ptxas")):
            if not found:
                raise NotImplementedError(f"{what} is not installed")

    def compile(self, network: str, path: str, file: Path) -> float:
        """Seconds it takes to make PTX."""
        command = [sys.executable, "-c", COMPILE, network, path, str(file)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def track_registers(self, network: str, path: str) -> int:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "kernel.ptx")
            self.compile(network, path, file)
            command = ["ptxas", "-c", "-v", "-arch=sm_90", str(file), "-o", os.devnull]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        found = re.search(r"Used (\d+) registers", said)
        assert found is not None, said
        return int(found[1])

    def track_seconds_to_compile(self, network: str, path: str) -> float:
        with tempfile.TemporaryDirectory() as folder:
            return self.compile(network, path, Path(folder, "kernel.ptx"))


Registers.track_registers.unit = "registers a thread"  # type: ignore[attr-defined]
Registers.track_seconds_to_compile.unit = "s"  # type: ignore[attr-defined]
