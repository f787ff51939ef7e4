"""How a launch shares the work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from numbanet.cuda import blas, target
from numbanet.cuda.program import DeviceProgram
from numbanet.graph import Graph

THREADS = 256  # of a block
LANES = (128, 64, 32, 16, 8)  # of a block of lanes of its own
FAR = (32, 16, 8)  # of one that does not fit on the chip
WIDE = 128  # outputs of a dense layer above which it is too much for one block of threads
LARGE = 1e9  # floating-point operations of a step above which a library's products are worth their launches
RESIDENT = 4  # blocks a multiprocessor holds, about, where they need not wait for one another
SLICES = 8  # gradients added up where all work together


@dataclass(frozen=True)
class Shape:
    """How a launch shares the work.

    Attributes
    ----------
    together : bool
        Whether all blocks of threads work on one block of lanes, the batch; otherwise each has its own.
    blocks, threads : int
        Of the grid, and of a block.
    lanes : int
        Of a block of lanes.
    slices : int
        Gradients that are added up.
    near : bool
        Whether a block of lanes lies in the memory that its threads share on the chip.
    products : bool
        Whether a library multiplies matrices between launches.
    """

    together: bool
    blocks: int
    threads: int
    lanes: int
    slices: int
    near: bool
    products: bool = False

    @property
    def text(self) -> Shape:
        """Equal for shapes whose kernels are the same: blocks that work apart may be any number, from two on."""
        return self if self.together else replace(self, blocks=min(self.blocks, 2), slices=min(self.slices, 2))


def lanes_near(program: DeviceProgram) -> list[int]:
    """Lanes of blocks that fit into the memory that threads share."""
    itemsize = np.dtype(program.dtype).itemsize
    return [n for n in LANES if (program.rows * n + program.tail) * itemsize <= target.shared_bytes()]


def roomy(batch: int) -> int:
    """Lanes for a batch, of which there are four sizes from each power of two to the next: each is a compilation."""
    step = max(32, 1 << max(0, (batch - 1).bit_length() - 3))
    return -(-batch // step) * step


def shape_of(choice: Any, program: DeviceProgram, batch: int, trains: bool) -> Shape:
    """How to share the work of a batch.

    Parameters
    ----------
    choice : CUDA
        What the user wants.
    program : DeviceProgram
        What a step computes.
    batch : int
        Samples.
    trains : bool
        Whether gradients are made.

    Returns
    -------
    Shape
        With what the user left open filled in.

    Raises
    ------
    ValueError
        If the path can't be taken.
    RuntimeError
        If a library is missing.
    """
    near = lanes_near(program)
    threads, most = choice.threads or THREADS, target.processors()
    meets = len(program.stages) > 2
    path = choice.path or _path(program.graph, batch, bool(near) and not meets)
    if meets and path == "fused":
        raise ValueError("path='fused' can't normalize a batch, which is spread over blocks; use 'direct'")
    if path == "gemm":
        if problem := blas.why_not():
            raise RuntimeError(problem)
        return Shape(True, choice.blocks or most, threads, max(choice.lanes or roomy(batch), batch), 1, False, True)
    if (trains and path == "direct") or meets:
        lanes = max(choice.lanes or roomy(batch), batch)
        return Shape(True, choice.blocks or most, threads, lanes, min(SLICES, -(-batch // 16)), False)
    fits = near or FAR
    lanes = choice.lanes or next((n for n in fits if -(-batch // n) >= most), fits[-1])
    at_once = RESIDENT * most if program.loss is None and near else most
    blocks = choice.blocks or max(1, min(at_once, -(-batch // lanes)))
    return Shape(False, blocks, threads, lanes, blocks, lanes in near)


def _path(graph: Graph, batch: int, near: bool) -> str:
    """What suits a model of which a block of lanes may lie near the threads."""
    nodes = [node for node in graph.nodes if node.products]
    dense = all(node.kind == "dense" for node in nodes)
    widest = max((node.output.size for node in nodes), default=0)
    if near and widest <= (WIDE if dense else 2 * WIDE):
        return "fused"
    large = batch * graph.flops >= LARGE and dense
    return "gemm" if large and not blas.why_not() else "direct"
