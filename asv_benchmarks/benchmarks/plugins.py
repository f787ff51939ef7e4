"""What the first use of a new plugin costs beyond that of a built-in, and what the next process pays."""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

MODULE = """
import math
from numbanet import Activation, Loss, Regularizer, hookimpl

{formula}

@hookimpl
def numbanet_{hook}():
    yield {make}
"""
NEW = {  # each with a number that no cache has seen
    "activation": ("activations", "def new(x):\n    return x / math.sqrt(1.0 + {number} * x * x)",
                   'Activation("new", forward=new)'),
    "activation with exp, log1p, tanh": (
        "activations", "def new(x):\n    return x * math.tanh(math.log1p({number} * math.exp(-abs(x))) + max(x, 0.0))",
        'Activation("new", forward=new)'),
    "loss": ("losses", "def new(z, t):\n    return math.log(1.0 + {number} * (z - t) * (z - t))",
             'Loss("new", loss=new)'),
    "regularizer": ("regularizers", "def new(w):\n    return {number} * math.sqrt(1.0 + w * w)",
                    'Regularizer("new", penalty=new)'),
}  # fmt: skip
BUILT_IN = {"activation": "softplus", "loss": "huber", "regularizer": "l2"}
FIT = """
import sys, time
import numpy as np
import numbanet as nn
kind, name = sys.argv[1:]
rng = np.random.default_rng(0)
X, y = rng.standard_normal((256, 16)), rng.standard_normal((256, 2))
began = time.perf_counter()
model = nn.Sequential([nn.Dense(16, activation=name if kind == "activation" else "tanh"), nn.Dense(2)])
trainer = nn.Trainer(model, loss=name if kind == "loss" else "mse", seed=0,
                     regularizer=name if kind == "regularizer" else None)
trainer.fit(X, y, epochs=1, batch_size=32, progress=False)
print(time.perf_counter() - began)
"""


def fit(site: str, kind: str, name: str) -> float:
    """Seconds in which a process of its own, once it has imported numbanet, finds the plugin and fits a network."""
    path = os.pathsep.join([site, *filter(None, sys.path)])
    done = subprocess.run([sys.executable, "-c", FIT, kind, name], env={**os.environ, "PYTHONPATH": path}, text=True,
                          capture_output=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return float(done.stdout)


class NewPlugin:
    """Differences between processes, medians of several; the engine's kernels and the built-in's are cached."""

    params = (list(NEW),)
    param_names = ["plugin"]
    timeout = 300
    tries = 7

    def setup(self, plugin: str) -> None:
        self.kind, self.folder = plugin.split()[0], tempfile.TemporaryDirectory()
        info = Path(self.folder.name, "new-1.dist-info")
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: new\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[numbanet]\nnew = new_plugin\n")
        self.rewrite(plugin)
        fit(self.folder.name, self.kind, BUILT_IN[self.kind])

    def teardown(self, plugin: str) -> None:
        self.folder.cleanup()

    def rewrite(self, plugin: str) -> None:
        """A formula that is new."""
        hook, formula, make = NEW[plugin]
        text = MODULE.format(hook=hook, make=make, formula=formula.format(number=random.uniform(1, 2)))
        Path(self.folder.name, "new_plugin.py").write_text(text)

    def beyond_built_in(self, plugin: str, *, again: bool) -> float:
        differences = []
        for _ in range(self.tries):
            self.rewrite(plugin)
            first = fit(self.folder.name, self.kind, "new")
            found = fit(self.folder.name, self.kind, "new") if again else first
            differences.append(found - fit(self.folder.name, self.kind, BUILT_IN[self.kind]))
        return statistics.median(differences)

    def track_first_use(self, plugin: str) -> float:
        return self.beyond_built_in(plugin, again=False)

    def track_second_process(self, plugin: str) -> float:
        return self.beyond_built_in(plugin, again=True)

    track_first_use.unit = track_second_process.unit = "s beyond a built-in"  # type: ignore[attr-defined]
