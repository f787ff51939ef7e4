#!/usr/bin/env python3
"""Training speed of numbanet beside JAX, PyTorch and scikit-learn, on the same work, in the same run.

    python asv_benchmarks/compare.py                                   every workload, on 1 and 2 threads
    python asv_benchmarks/compare.py tiny wide --threads 1 --rounds 5  some of them
    python asv_benchmarks/compare.py --json figures.json               the figures to a file, - for standard output

Prints a table in Markdown: microseconds of one optimiser step (Adam, float32), how many times longer the best peer
takes than numbanet, and the share of the machine's FMA peak that numbanet reaches, the peak being measured in the same
process. Each measurement is a process of its own, pinned to as many cores as it has threads. The libraries take turns,
so that a change of the machine's speed falls on all. A figure is the median over the rounds of each process's best
epoch. Peers are used at their best: a whole epoch of JAX is one compiled scan, or with convolutions, which a scan slows
down, one call a step; PyTorch is eager, with resident tensors and the fused Adam. A peer that is not installed, or
can't do it, is left out.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.workloads import LEARNING_RATE, WINDOW, WORKLOADS, Workload, cores, fastest, pin, seconds_a_step

Figures = dict[str, float]


def measure_numbanet(work: Workload, threads: int) -> Figures:
    from numbanet.cpu.peak import fma_peak

    step = seconds_a_step(work, threads)
    return {"us": step * 1e6, "fraction": work.flops / step / (threads * fma_peak("float32"))}


def measure_jax(work: Workload, threads: int) -> Figures:
    import jax
    import jax.numpy as jnp
    import optax

    X, y = map(jnp.asarray, work.data())
    rng = np.random.default_rng(1)
    filters = [
        (jnp.asarray(rng.normal(0, 0.1, (WINDOW, WINDOW, channels, count)), jnp.float32), jnp.zeros(count))
        for channels, count in pairwise((work.image[2], *work.maps))
    ]
    weights = [
        (jnp.asarray(rng.normal(0, inputs**-0.5, (inputs, units)), jnp.float32), jnp.zeros(units))
        for inputs, units in pairwise(work.sizes)
    ]
    activation = {"relu": jax.nn.relu, "tanh": jnp.tanh}[work.activation]
    optimizer = optax.adam(LEARNING_RATE)

    def loss(weights, x, target):
        filters, (*hidden, (last, bias)) = weights
        for w, b in filters:
            x = jax.lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            x = jax.lax.reduce_window(activation(x + b), -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        x = x.reshape(len(x), -1)
        for w, b in hidden:
            x = activation(x @ w + b)
        output = x @ last + bias
        if work.classes:
            return optax.softmax_cross_entropy_with_integer_labels(output, target).mean()
        return jnp.mean((output - target) ** 2)

    def step(state, rows):
        weights, moments = state
        updates, moments = optimizer.update(jax.grad(loss)(weights, X[rows], y[rows]), moments)
        return (optax.apply_updates(weights, updates), moments), None

    whole = jax.jit(lambda state, batches: jax.lax.scan(step, state, batches)[0])
    single = jax.jit(lambda state, rows: step(state, rows)[0])
    state = (filters, weights), optimizer.init((filters, weights))

    def train():
        nonlocal state
        order = rng.permutation(work.samples)[: work.steps * work.batch]
        batches = jnp.asarray(order.reshape(-1, work.batch))
        if filters:  # XLA's convolutions are far slower within a scan
            for rows in batches:
                state = single(state, rows)
        else:
            state = whole(state, batches)
        jax.block_until_ready(state)

    return {"us": fastest(train) / work.steps * 1e6}


def measure_torch(work: Workload, threads: int) -> Figures:
    import torch

    torch.set_num_threads(threads)
    X, y = map(torch.from_numpy, work.data())
    activation = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[work.activation]
    layers = []
    for sizes in pairwise((work.image[2], *work.maps)):
        layers += [torch.nn.Conv2d(*sizes, WINDOW), activation(), torch.nn.MaxPool2d(2)]
    if layers:
        X = X.permute(0, 3, 1, 2).contiguous()
        layers.append(torch.nn.Flatten())
    layers += [part for sizes in pairwise(work.sizes) for part in (torch.nn.Linear(*sizes), activation())]
    network = torch.nn.Sequential(*layers[:-1])
    loss = torch.nn.CrossEntropyLoss() if work.classes else torch.nn.MSELoss()
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, fused=True)

    def train():
        for rows in torch.randperm(work.samples).split(work.batch)[: work.steps]:
            optimizer.zero_grad()
            loss(network(X[rows]), y[rows]).backward()
            optimizer.step()

    return {"us": fastest(train) / work.steps * 1e6}


def measure_sklearn(work: Workload, threads: int) -> Figures:
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from threadpoolctl import threadpool_limits

    if work.maps:
        return {}  # it has no convolutions
    X, y = work.data()
    estimator = MLPClassifier if work.classes else MLPRegressor
    epochs = 5

    def train():
        estimator(
            hidden_layer_sizes=work.sizes[1:-1],
            activation=work.activation,
            batch_size=work.batch,
            learning_rate_init=LEARNING_RATE,
            max_iter=epochs,
            n_iter_no_change=epochs + 1,
        ).fit(X, y)

    with warnings.catch_warnings(), threadpool_limits(threads):
        warnings.simplefilter("ignore")  # of not having converged
        return {"us": fastest(train, seconds=1.0, least=2) / (epochs * work.steps) * 1e6}


MEASURE: dict[str, Callable[[Workload, int], Figures]] = {
    "numbanet": measure_numbanet,
    "jax": measure_jax,
    "torch": measure_torch,
    "sklearn": measure_sklearn,
}
TITLES = {"numbanet": "numbanet", "jax": "JAX", "torch": "PyTorch", "sklearn": "scikit-learn"}
DISTRIBUTIONS = ("numbanet", "numba", "numpy", "jax", "torch", "scikit-learn")


def child(library: str, workload: str, threads: int) -> None:
    """Measure once, in this process, and print the figures."""
    pin(threads)
    try:
        figures = MEASURE[library](WORKLOADS[workload], threads)
    except ModuleNotFoundError as missing:
        if library == "numbanet":
            raise
        print(f"{library}: {missing}", file=sys.stderr)
        figures = {}
    print(json.dumps(figures))


def measure(library: str, workload: str, threads: int) -> Figures:
    """The figures of one measurement in a process of its own; none if the library is not installed."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "JAX_PLATFORMS": "cpu"}
    if threads == 1:
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    command = [sys.executable, os.path.abspath(__file__), "--child", library, workload, str(threads)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{library} failed on {workload} with {threads} threads:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(workload: str, threads: int, libraries: list[str], rounds: int) -> dict[str, Any]:
    """Medians over the rounds."""
    figures: dict[str, list[Figures]] = {library: [] for library in libraries}
    for number in range(rounds):
        for library in list(figures):
            found = measure(library, workload, threads)
            print(f"{workload}, {threads} threads, round {number + 1}: {library} {found}", file=sys.stderr)
            if found:
                figures[library].append(found)
            else:
                del figures[library]
    us = {library: statistics.median(one["us"] for one in found) for library, found in figures.items()}
    row: dict[str, Any] = {"workload": workload, "threads": threads, "us": us, "ratio": None, "best_peer": None}
    row["fraction_of_peak"] = statistics.median(one["fraction"] for one in figures["numbanet"])
    peers = [library for library in us if library != "numbanet"]
    if peers:
        row["best_peer"] = min(peers, key=us.__getitem__)
        row["ratio"] = us[row["best_peer"]] / us["numbanet"]
    return row


def cell(us: float | None) -> str:
    """Microseconds to three or four digits."""
    if us is None:
        return "–"
    return f"{us:.2f}" if us < 10 else f"{us:.1f}" if us < 100 else f"{us:.0f}"


def line(row: dict[str, Any], libraries: list[str]) -> str:
    """A row of the table."""
    work = WORKLOADS[row["workload"]]
    name = f"{row['workload']} {'-'.join(map(str, work.maps + work.sizes))}, batch {work.batch}"
    ratio = f"{row['ratio']:.2f} × ({TITLES[row['best_peer']]})" if row["ratio"] else "–"
    cells = [cell(row["us"].get(library)) for library in libraries]
    return "| " + " | ".join([name, str(row["threads"]), *cells, ratio, f"{row['fraction_of_peak']:.0%}"]) + " |"


def machine() -> str:
    """Processor, cores, and versions of all that is compared."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    versions = [f"Python {platform.python_version()}"]
    for name in DISTRIBUTIONS:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return f"{processor}, {cores()} cores; {', '.join(versions)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="workload", help=f"of {', '.join(WORKLOADS)}; default: all")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", nargs="*", choices=[peer for peer in MEASURE if peer != "numbanet"], default=None)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], options.child[1], int(options.child[2]))
        return
    for name in options.workloads:
        if name not in WORKLOADS:
            parser.error(f"unknown workload '{name}'; known: {', '.join(WORKLOADS)}")
    peers = options.peers if options.peers is not None else [peer for peer in MEASURE if peer != "numbanet"]
    libraries = ["numbanet", *peers]
    shown = sys.stderr if options.json == "-" else sys.stdout
    figures = ["against the best peer", "of the FMA peak"]
    titles = ["workload", "threads", *(f"{TITLES[one]}, µs" for one in libraries), *figures]
    print(f"{machine()}\n", file=shown)
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|", file=shown, flush=True)
    rows = []
    for workload in options.workloads or WORKLOADS:
        for threads in options.threads:
            rows.append(compare(workload, threads, libraries, options.rounds))
            print(line(rows[-1], libraries), file=shown, flush=True)
    if options.json:
        text = json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n"
        if options.json == "-":
            sys.stdout.write(text)
        else:
            Path(options.json).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
