"""One kernel of a program: compiled for a way to share the work, and launched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from numbanet.cpu.update_program import UpdateProgram
from numbanet.cuda import intrinsics, target
from numbanet.cuda.bind import Namespace
from numbanet.cuda.driver import Plan
from numbanet.cuda.program import DeviceProgram
from numbanet.cuda.shape import Shape
from numbanet.cuda.text import Writer

ARRAYS = (
    "params", "grads", "states", "hyper", "work", "table", "backup", "inputs", "targets", "weights", "outputs", "order",
    "partial", "results", "numbers",
)  # fmt: skip
KINDS = {"order": "int32", "partial": "float64", "results": "float64", "numbers": "int64"}  # others: the working type
KNOWN = 64  # kernels that are kept
_made: dict[Any, Any] = {}
PREDICTS = "params", "hyper", "work", "inputs", "outputs", "results", "numbers"  # all that a forward pass touches
STANDS = {"order": "numbers", "partial": "results"}  # for arrays that are not touched; for others: the parameters
ENTRY = """
{head}
    values = {values}
    scores = {sums}
    place = Place(
        thread(), threads(), block(), {blocks}, {rank}, {size}, {base}
    )
    memory = Memory(params, grads, states, hyper, values, table, backup)
    data = Data(inputs, targets, weights, outputs, order, partial, results, scores)
    plan = Plan({plan})
    train(place, plan, memory, data, {clip!r})
"""


def known_of(program: DeviceProgram, shape: Shape) -> dict[str, int]:
    """The part of the plan that is the same at each launch."""
    graph = program.graph
    known = {}
    if program.loss is None:
        known = {"trains": 0, "shuffle": 0, "coefficients": 1, "spread": 0, "penalized": 0, "weighted": 0, "keeps": 1}
    elif not program.train:
        known = {"trains": 0, "shuffle": 0}
    return {
        **known,
        "shared": int(shape.together), "slices": shape.slices, "lanes": shape.lanes, "features": graph.input.size,
        "target": program.target_columns, "outputs": graph.output.size, "ordered": int(program.loss is not None),
        "input_row": program.place(graph.input),
        "target_row": program.target_row, "weight_row": program.weight_row, "total_row": program.total_row,
        "output_row": program.output_row, "key_row": program.key_row,
    }  # fmt: skip


def head(name: str, arrays: Iterable[str], params: int) -> str:
    """How a kernel begins that takes the addresses of these arrays; of the first alone it is asked for the size."""
    lines = [f"    {a} = array({a}_, {params if a == 'params' else 0})" for a in arrays]
    return "\n".join([f"def {name}({', '.join(f'{a}_' for a in arrays)}):", *lines])


def kinds(arrays: Iterable[str], dtype: str, samples: str | None) -> list[str]:
    """Types of their elements."""
    known = {**KINDS, "inputs": samples or dtype}
    return [known.get(name, dtype) for name in arrays]


def written(known: dict[str, int], first: str = "") -> str:
    """Integers of the plan, in ``numbers`` from a place on or, where they are known, written out."""
    places = (f"numbers[{first}{i}]" for i in range(len(Plan._fields)))
    return ", ".join(str(known.get(n, place)) for n, place in zip(Plan._fields, places, strict=True))


class Launch:
    """A kernel for a program and a shape.

    Parameters
    ----------
    program, updates : DeviceProgram, UpdateProgram
        What a step computes.
    shape : Shape
        How the work is shared; of it the kernel is that of `Shape.text`.
    clip_norm : float
        Largest norm of the gradient, or 0.
    samples : str, optional
        Type in which samples are kept; by default the working type.

    Attributes
    ----------
    elements : int
        Of a block of lanes.
    known : dict of str to int
        The part of the plan that is the same at each launch.
    """

    def __init__(
        self, program: DeviceProgram, updates: UpdateProgram, shape: Shape, clip_norm: float, samples: str | None = None
    ) -> None:
        self.shape, self.dtype, self.size = shape, program.dtype, program.graph.size
        apart = not shape.together and program.loss is None  # blocks that have nothing to say to one another
        everyone = intrinsics.meet_block if shape.blocks == 1 or apart else intrinsics.meet_grid
        part = everyone if shape.together else intrinsics.meet_block
        self.space = space = Namespace(**intrinsics.names(program.dtype), meet=everyone, meet_part=part)
        workers = shape.threads * (shape.blocks if shape.together else 1)
        writer = Writer(program, updates, space, shape.lanes, workers, shape.slices if shape.together else 1)
        writer.write()
        self.elements = program.rows * shape.lanes + program.tail
        self.known = known_of(program, shape)
        self.arrays = ARRAYS if program.loss is not None else PREDICTS
        exec(compile(self.entry(clip_norm), "<numbanet.cuda>", "exec"), space.names)
        self.kernel = target.Kernel(space.names["launch"], kinds(self.arrays, program.dtype, samples), shape.threads)
        self.bytes = self.elements * np.dtype(program.dtype).itemsize if shape.near else 0

    def plan(self, first: str) -> str:
        """Integers of the plan, in ``numbers`` from a place on or, where they are known, written out.

        What is not needed is then left out, nothing is kept in registers, divisors are constants.
        """
        return written(self.known, first)

    def head(self, params: int) -> str:
        """How the kernel begins, with names for all arrays."""
        others = [f"    {a} = {STANDS.get(a, 'params')}" for a in ARRAYS if a not in self.arrays]
        return "\n".join([head("launch", self.arrays, params), *others])

    def entry(self, clip_norm: float) -> str:
        """Text of the kernel."""
        shape = self.shape
        return ENTRY.format(
            head=self.head(self.size), clip=clip_norm, plan=self.plan(""),
            values=intrinsics.SHARED if shape.near else "work", sums=intrinsics.SUMS,
            blocks="blocks()" if shape.blocks > 1 else "1",
            rank="block() * threads() + thread()" if shape.together else "thread()",
            size="blocks() * threads()" if shape.together else "threads()",
            base="0" if shape.together or shape.near else f"block() * {self.elements}",
        )  # fmt: skip

    def prepare(self, blocks: int, arrays: dict[str, Any]) -> Callable[[], None]:
        """A launch on arrays of the device's, one of which is the plan's numbers."""
        return self.kernel.prepare(blocks, self.bytes, [arrays[name] for name in self.arrays])

    def run(self, plan: Plan, blocks: int, arrays: dict[str, Any]) -> None:
        """Launch."""
        self.prepare(blocks, arrays)()


def text_of(program: DeviceProgram, updates: UpdateProgram) -> Any:
    """Equal where the text of the kernels is, and the size of what they work on."""
    graph = program.graph
    tables = (
        program.passes, program.gradients, updates.slopes, updates.clips, updates.masks, updates.penalties,
        updates.updates, updates.projections,
    )  # fmt: skip
    texts = tuple((tuple(t.kernels), tuple(map(tuple, t.rows))) for t in tables)
    places = (
        program.place(graph.input), program.target_row, program.weight_row, program.total_row, program.output_row,
        program.key_row, program.target_columns, program.rows, program.tail,
    )  # fmt: skip
    sizes = graph.size, graph.input.size, graph.output.size, len(program.hyper), updates.scratch
    return program.dtype, program.loss is None, program.train, texts, tuple(program.sums), places, sizes


def kept(key: Any, make: Callable[[], Any]) -> Any:
    """What has been made for a key, by any trainer of this process."""
    if key not in _made:
        while len(_made) >= KNOWN:
            _made.pop(next(iter(_made)), None)
        _made[key] = make()
    return _made[key]
