"""Speed on an NVIDIA card beside PyTorch, everything in one call, as a table.

    python asv_benchmarks/gpu.py                 # everything
    python asv_benchmarks/gpu.py mlp lenet       # some of it
    python asv_benchmarks/gpu.py --json gpu.json

Data and weights stay on the card. PyTorch trains with torch.compile and a CUDA graph of the whole step, gather
included, and predicts with torch.compile(mode="reduce-overhead"); float32 without TF32 on both sides. Each figure is
the best of several rounds in which the two take turns. Needs numbanet[cuda] and torch.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import numbanet as nn

ROUNDS = 5
SIZES = {
    "mlp": (64, [64, 64, 64], "mse"),
    "digits": (64, [64, 10], "classes"),
    "wide": (784, [512, 512, 10], "classes"),
}


def synchronized(call: Callable[[], Any]) -> float:
    """Seconds until the card has done it."""
    import torch

    torch.cuda.synchronize()
    start = time.perf_counter()
    call()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def compare(ours: Callable[[], Any], theirs: Callable[[], Any], ours_per: int, theirs_per: int) -> tuple[float, float]:
    """Microseconds of a step of each: the best of rounds in turns, after one that compiles."""
    ours(), theirs()
    rounds = [(synchronized(ours), synchronized(theirs)) for _ in range(ROUNDS)]
    return min(a for a, _ in rounds) / ours_per * 1e6, min(b for _, b in rounds) / theirs_per * 1e6


def data(name: str, n: int) -> tuple[Any, Any]:
    """Samples and targets."""
    rng = np.random.default_rng(0)
    if name == "lenet":
        return rng.standard_normal((n, 28, 28, 1), dtype=np.float32), rng.integers(0, 10, n)
    inputs, units, kind = SIZES[name]
    X = rng.standard_normal((n, inputs), dtype=np.float32)
    if kind == "classes":
        return X, rng.integers(0, units[-1], n)
    return X, rng.standard_normal((n, units[-1]), dtype=np.float32)


def our_trainer(name: str) -> nn.Trainer:
    """The network in numbanet."""
    if name == "lenet":
        layers: list[Any] = [
            nn.Conv2D(6, 5, activation="relu"), nn.MaxPool2D(2), nn.Conv2D(16, 5, activation="relu"), nn.MaxPool2D(2),
            nn.Flatten(), nn.Dense(120, "relu"), nn.Dense(84, "relu"), nn.Dense(10),
        ]  # fmt: skip
    else:
        _, units, _ = SIZES[name]
        layers = [nn.Dense(n, "relu") for n in units[:-1]] + [nn.Dense(units[-1])]
    loss = "mean_squared_error" if name == "mlp" else "softmax_cross_entropy"
    return nn.Trainer(nn.Sequential(layers), loss, nn.Adam(3e-4), device="cuda", seed=0)


def their_network(name: str) -> Any:
    """The network in PyTorch."""
    from torch import nn as m

    if name == "lenet":
        return m.Sequential(
            m.Conv2d(1, 6, 5), m.ReLU(), m.MaxPool2d(2), m.Conv2d(6, 16, 5), m.ReLU(), m.MaxPool2d(2), m.Flatten(),
            m.Linear(256, 120), m.ReLU(), m.Linear(120, 84), m.ReLU(), m.Linear(84, 10),
        ).cuda()  # fmt: skip
    inputs, units, _ = SIZES[name]
    layers: list[Any] = []
    for before, after in zip([inputs, *units[:-1]], units, strict=True):
        layers += [m.Linear(before, after), m.ReLU()]
    return m.Sequential(*layers[:-1]).cuda()


def their_epoch(name: str, X: Any, y: Any, batch: int) -> Callable[[], None]:
    """Training steps over all samples, each the replay of one CUDA graph."""
    import torch

    network = their_network(name)
    loss_of = torch.nn.MSELoss() if name == "mlp" else torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-4, fused=True, capturable=True)
    forward = torch.compile(lambda x, t: loss_of(network(x), t))
    chosen = torch.arange(batch, device="cuda")

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        forward(X.index_select(0, chosen), y.index_select(0, chosen)).backward()
        optimizer.step()

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(5):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def epoch() -> None:
        order = torch.randperm(len(X), device="cuda")
        for first in range(0, len(X) - batch + 1, batch):
            chosen.copy_(order[first : first + batch])
            graph.replay()

    return epoch


def training(name: str, batch: int, steps: int) -> tuple[float, float]:
    """Microseconds of a training step."""
    import torch

    X, y = data(name, batch * steps)
    there, labels = torch.from_numpy(X).cuda(), torch.from_numpy(y).cuda()
    images = there.permute(0, 3, 1, 2).contiguous() if name == "lenet" else there
    trainer = our_trainer(name)
    return compare(
        lambda: trainer.fit(there, y, epochs=1, batch_size=batch, progress=False),
        their_epoch(name, images, labels, batch), steps, steps,
    )  # fmt: skip


def inference(name: str, batch: int) -> tuple[float, float]:
    """Microseconds of a prediction."""
    import torch

    X, y = data(name, batch)
    there = torch.from_numpy(X).cuda()
    trainer = our_trainer(name)
    trainer.fit(there, y, epochs=1, batch_size=batch, progress=False)
    network = torch.compile(their_network(name), mode="reduce-overhead")

    def theirs() -> None:
        with torch.no_grad():
            for _ in range(100):
                network(there)

    def ours() -> None:
        for _ in range(100):
            trainer.predict(there)

    return compare(ours, theirs, 100, 100)


def many(count: int = 4096, n: int = 128, epochs: int = 5) -> tuple[float, float]:
    """Microseconds of a network among others, and of one after the other on the same card."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, 4), dtype=np.float32), rng.integers(0, 3, n)

    def trainers(size: int) -> list[nn.Trainer]:
        layers = [[nn.Dense(16, "tanh"), nn.Dense(3)] for _ in range(size)]
        return [
            nn.Trainer(nn.Sequential(own), "softmax_cross_entropy", device="cuda", seed=i)
            for i, own in enumerate(layers)
        ]

    few = 32

    def one_by_one() -> None:
        for trainer in trainers(few):
            trainer.fit(X, y, epochs=epochs, progress=False)

    return compare(lambda: nn.fit_many(trainers(count), X, y, epochs=epochs), one_by_one, count, few)


def bandwidth(size: int = 1 << 26) -> tuple[float, float]:
    """Gigabytes a second of an update by Adam, which reads and writes parameters and states, and of a copy."""
    import torch

    trainer = nn.Trainer(
        nn.Sequential([nn.Dense(8192, use_bias=False)]), "mean_squared_error", device=nn.CUDA(path="direct"), seed=0
    )
    X, y = np.zeros((1, 8192), np.float32), np.zeros((1, 8192), np.float32)
    steps = 50
    source = torch.empty(size, device="cuda")
    target = torch.empty_like(source)
    step, copy = compare(
        lambda: trainer.fit(X, y, epochs=steps, batch_size=1, progress=False), lambda: target.copy_(source), steps, 1
    )
    # parameters, gradient and two states are read, all written again, and the gradient was written before
    return 9 * 4 * 8192**2 / step / 1e3, 2 * 4 * size / copy / 1e3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["mlp", "digits", "lenet", "wide", "many", "bandwidth"])
    parser.add_argument("--json")
    arguments = parser.parse_args()
    card = nn.devices()[1]
    if not card.usable:
        raise SystemExit(f"nothing can be measured: {card.problem}")
    import torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    print(f"{card.description}; PyTorch {torch.__version__}, CUDA {torch.version.cuda}, {platform.platform()}")
    rows: list[tuple[str, float, float, str]] = []

    def add(what: str, pair: tuple[float, float], unit: str = "us") -> None:
        rows.append((what, *pair, unit))
        ratio = pair[1] / pair[0] if unit == "us" else pair[0] / pair[1]
        print(f"{what:44s} {pair[0]:12.2f} {unit} {pair[1]:12.2f} {unit} {ratio:8.2f} x", flush=True)

    print(f"{'':44s} {'numbanet':>12s}    {'peer':>12s}")
    if "mlp" in arguments.what:
        for power in range(10, 19, 2):
            add(f"64-64-64-64, batch 2^{power}, step", training("mlp", 1 << power, 8 if power > 14 else 64))
            add(f"64-64-64-64, batch 2^{power}, inference", inference("mlp", 1 << power))
    if "digits" in arguments.what:
        add("64-64-10, batch 32, step", training("digits", 32, 512))
    if "lenet" in arguments.what:
        add("LeNet-5, batch 128, step", training("lenet", 128, 64))
    if "wide" in arguments.what:
        add("784-512-512-10, batch 4096, step", training("wide", 4096, 16))
    if "many" in arguments.what:
        add("4-16-3, one of 4,096 / alone", many())
    if "bandwidth" in arguments.what:
        add("update by Adam / copy", bandwidth(), "GB/s")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"card": card.description, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
