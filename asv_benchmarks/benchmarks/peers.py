"""How many times longer the peers take than numbanet for the same training step."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

from .workloads import WORKLOADS, cores

COMPARE = Path(__file__).resolve().parents[1] / "compare.py"
MODULES = {"jax": ("jax", "optax"), "torch": ("torch",), "sklearn": ("sklearn",)}


class Peers:
    """A peer's time divided by numbanet's, as `compare.py` measures them."""

    params = (list(WORKLOADS), [1, 2], list(MODULES))
    param_names = ["workload", "threads", "peer"]
    unit = "times numbanet's time"
    timeout = 600

    def setup(self, workload: str, threads: int, peer: str) -> None:
        if threads > cores():
            raise NotImplementedError(f"{threads} threads want {threads} cores")
        for module in MODULES[peer]:
            if importlib.util.find_spec(module) is None:
                raise NotImplementedError(f"{module} is not installed")

    def track_ratio(self, workload: str, threads: int, peer: str) -> float:
        command = [sys.executable, str(COMPARE), workload, "--threads", str(threads), "--peers", peer, "--json", "-"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        (row,) = json.loads(done.stdout)["rows"]
        return row["us"][peer] / row["us"]["numbanet"]
