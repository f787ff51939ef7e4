"""What a user waits for before training starts: each figure is the wall time of a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

FIT = """
import numpy as np
import numbanet as nn
rng = np.random.default_rng(0)
X, y = rng.standard_normal((1797, 64)), rng.integers(10, size=1797)
model = nn.Sequential([nn.Dense(64, activation="relu"), nn.Dense(10)])
trainer = nn.Trainer(model, loss="softmax_cross_entropy", optimizer=nn.Adam(learning_rate=1e-3), seed=0)
trainer.fit(X, y, epochs=1, batch_size=32, progress=False)
"""
DIGITS = """
import sys
from numbanet.cli import main
sys.argv[1:] = ["train", "digits", "--output", sys.argv[1]]
main()
"""


def wall(*arguments: str, cache: str | None = None) -> float:
    """Seconds from a Python process's start to its end; `cache` is a folder for Numba's compiled code."""
    environment = {**os.environ, **({"NUMBA_CACHE_DIR": cache} if cache else {})}
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(done.stderr)
    return seconds


class Startup:
    """Processes that import numbanet, fit 64-64-10 for an epoch, or run the command of the README."""

    unit = "s"
    timeout = 300

    def track_import(self) -> float:
        code = "import time; t = time.perf_counter(); import numbanet; print(time.perf_counter() - t)"
        return min(
            float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
            for _ in range(5)
        )

    def track_first_process(self) -> float:
        with tempfile.TemporaryDirectory() as cache:
            return wall("-c", FIT, cache=cache)

    def track_second_process(self) -> float:
        wall("-c", FIT)
        return min(wall("-c", FIT) for _ in range(3))

    def track_train_digits(self) -> float:
        with tempfile.TemporaryDirectory() as folder:
            return min([wall("-c", DIGITS, os.path.join(folder, str(turn))) for turn in range(3)][1:])
