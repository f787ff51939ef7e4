"""Training with a library's matrix products: a step is launches of kernels, and between them products.

The batch is one block of lanes, as where all threads work together, so that a layer's input, its weights with the bias
as their last row, and its output are matrices as they lie, and every product reads and writes views. All that is done
between two products is one kernel, whose threads meet after each operation.

Every step is the same launches with the same arguments, and so could be captured as a CUDA graph; it is not: the host
is ahead of the card where products are as large as those that this is chosen for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from numbanet.cpu import dense
from numbanet.cpu.update_program import UpdateProgram
from numbanet.cuda import intrinsics, target
from numbanet.cuda.bind import Namespace
from numbanet.cuda.blas import Products
from numbanet.cuda.driver import Plan
from numbanet.cuda.launch import ARRAYS, head, kinds, known_of, written
from numbanet.cuda.program import DeviceProgram
from numbanet.cuda.shape import Shape
from numbanet.cuda.text import Writer

ENTRY = """
    scores = {sums}
    place = Place(
        thread(), threads(), block(), blocks(), block() * threads() + thread(), blocks() * threads(), 0
    )
    memory = Memory(params, grads, states, hyper, work, table, backup)
    data = Data(inputs, targets, weights, outputs, order, partial, results, scores)
    plan = Plan({plan})
"""
PART = """
    rank, size, base = block() * threads() + thread(), blocks() * threads(), 0
    lanes = {width}
"""
FILLED = """\
    samples, batch, epochs = numbers[{samples}], numbers[{batch}], numbers[{epochs}]
    start = np.int64(results[epochs + DONE]) % ((samples + batch - 1) // batch) * batch
    filled = min(batch, samples - start)
"""
GRADIENTS = "    slices, pitch, adds = 1, params.size, 0\n"
SPREAD = 8  # times as many blocks where threads need not meet, and so not all run at once

Factor = tuple[str, str, int, int, int]  # "N" or "T" for transposed, a buffer, where in it, rows, columns
Product = tuple[Factor, Factor, Factor]  # the last is the result
PLACES = {name: i for i, name in enumerate(Plan._fields)}


class Kernel:
    """A kernel, and the arrays that it takes.

    Parameters
    ----------
    space : Namespace
        Where it is defined.
    name, body : str
        Its name, and what it does with arrays of `ARRAYS`.
    program : DeviceProgram
        What a step computes.
    samples : str or None
        Type in which samples are kept.
    blocks, threads : int
        Of its launches.
    """

    def __init__(
        self, space: Namespace, name: str, body: str, program: DeviceProgram, samples: str | None, blocks: int,
        threads: int,
    ) -> None:  # fmt: skip
        words = set(re.findall(r"\w+", body))
        self.blocks, self.arrays = blocks, [array for array in ARRAYS if array in words]
        exec(compile(head(name, self.arrays, program.graph.size) + body, "<numbanet.cuda>", "exec"), space.names)
        self.kernel = target.Kernel(space.names[name], kinds(self.arrays, program.dtype, samples), threads)

    def prepare(self, arrays: dict[str, Any]) -> Callable[[], None]:
        """A launch on arrays of the device's."""
        return self.kernel.prepare(self.blocks, 0, [arrays[name] for name in self.arrays])


class Part:
    """What a kernel between two products does.

    Parameters
    ----------
    operations : list of (callable, list of int)
        Passes.
    gradients : str
        Statements that follow them.
    """

    def __init__(self, operations: list[tuple[Any, list[int]]], gradients: str = "") -> None:
        self.operations, self.gradients = operations, gradients

    def text(self, writer: Writer, width: int) -> tuple[str, bool]:
        """The kernel for blocks of so many lanes, and whether its threads meet."""
        body, meets = writer.sequence(self.operations)
        if self.gradients:
            body += ("    meet_part()\n" if body else "") + GRADIENTS + self.gradients
        if "filled" in body:
            body = FILLED.format(**PLACES) + body
        return PART.format(width=width) + body, meets or bool(self.gradients)


class Gemm:
    """The launches and products of a program.

    Parameters
    ----------
    program, updates : DeviceProgram, UpdateProgram
        What a step computes.
    shape : Shape
        How kernels share the work.
    clip_norm : float
        Largest norm of the gradient, or 0.
    samples : str, optional
        Type in which samples are kept; by default the working type.

    Attributes
    ----------
    begin, finish : Kernel
        What begins an epoch, and what follows the last product of a step.
    items : list of Kernel or list of Product
        A step between them.
    elements : int
        Of a block of lanes.
    known : dict of str to int
        The part of the plan that is the same at each launch.
    """

    def __init__(
        self, program: DeviceProgram, updates: UpdateProgram, shape: Shape, clip_norm: float, samples: str | None = None
    ) -> None:
        self.shape, self.dtype, self.program, self.samples = shape, program.dtype, program, samples
        self.products: Products | None = None  # when they are needed
        everyone = intrinsics.meet_grid if shape.blocks > 1 else intrinsics.meet_block
        self.space = Namespace(**intrinsics.names(program.dtype), meet=everyone, meet_part=everyone)
        self.writer = Writer(program, updates, self.space, shape.lanes, shape.threads * shape.blocks, 1)
        self.elements = program.rows * shape.lanes + program.tail
        parts = [part if isinstance(part, list) else part.text(self.writer, shape.lanes) for part in self._parts()]
        self.space.define("\n".join([*self.writer.tiles.values(), *self.writer.of_updates()]))
        self.known = known_of(program, shape)
        entry = ENTRY.format(sums=intrinsics.SUMS, plan=written(self.known))
        ones = "".join(
            f"    for t in range(place.rank, plan.lanes, place.size):\n        work[{row} * plan.lanes + t] = T(1)\n"
            for row in self._ones()
        )
        self.begin = self._kernel("open_epoch", f"{entry}{ones}    begin(place, plan, memory, data)\n")
        self.finish = self._kernel("close_step", f"{entry}    finish(place, plan, memory, data, {clip_norm!r})\n")
        self.items: list[Kernel | list[Product]] = []
        for i, part in enumerate(parts):
            if isinstance(part, list):
                self.items.append(part)
            else:
                text, meets = part
                self.items.append(self._kernel(f"part{i}", text, 1 if meets else SPREAD))

    def _kernel(self, name: str, text: str, times: int = 1) -> Kernel:
        blocks = self.shape.blocks * times
        return Kernel(self.space, name, text, self.program, self.samples, blocks, self.shape.threads)

    # -- what a step is -----------------------------------------------------------------

    def _ones(self) -> list[int]:
        """Rows that are always one, by which biases are multiplied."""
        table = self.program.passes
        rows = zip(table.kernels, table.rows, strict=True)
        return sorted({row[2] + row[4] for kernel, row in rows if kernel is dense.forward and row[6]})

    def _parts(self) -> list[list[Product] | Part]:
        """Kernels, and products without a kernel between them."""
        passes, gradients = self.program.passes, self.program.gradients
        parts: list[list[Product] | Part] = []

        def multiply(product: Product) -> None:
            if parts and isinstance(parts[-1], list):
                parts[-1].append(product)
            else:
                parts.append([product])

        for kernel, row in zip(passes.kernels, passes.rows, strict=True):
            product = self._pass(kernel, row)
            if product:
                multiply(product)
            elif parts and isinstance(parts[-1], Part):
                parts[-1].operations.append((kernel, row))
            else:
                parts.append(Part([(kernel, row)]))
        # gradients after all passes, of which some change slopes where they lie
        others = self.writer.gradient_statements(dense.gradient)
        if others and not (parts and isinstance(parts[-1], Part)):
            parts.append(Part([]))
        if parts and isinstance(parts[-1], Part):
            parts[-1].gradients = others
        for kernel, row in zip(gradients.kernels, gradients.rows, strict=True):
            if kernel is dense.gradient:
                multiply(self._gradient(row))
        return parts

    def _pass(self, kernel: Any, row: list[int]) -> Product | None:
        """An operation as a product."""
        lanes = self.shape.lanes
        if kernel is dense.forward:
            weights, x, z, inputs, units, bias = row[1:7]
            rows = inputs + bias
            return (
                ("T", "params", weights, rows, units), ("N", "work", x * lanes, rows, lanes),
                ("N", "work", z * lanes, units, lanes),
            )  # fmt: skip
        if kernel is dense.backward:
            weights, dz, dx, inputs, units = row[1:6]
            return (
                ("N", "params", weights, inputs, units), ("N", "work", dz * lanes, units, lanes),
                ("N", "work", dx * lanes, inputs, lanes),
            )  # fmt: skip
        return None

    def _gradient(self, row: list[int]) -> Product:
        """dW = x dz'."""
        lanes = self.shape.lanes
        weights, rows, units, x, dz = row[1:6]
        return (
            ("N", "work", x * lanes, rows, lanes), ("T", "work", dz * lanes, units, lanes),
            ("N", "grads", weights, rows, units),
        )  # fmt: skip

    # -- launches -----------------------------------------------------------------------

    def run(self, plan: Plan, blocks: int, arrays: dict[str, Any]) -> None:
        """Go through the plan; arrays are the device's."""
        self.products = products = self.products or Products()
        begin, finish = self.begin.prepare(arrays), self.finish.prepare(arrays)
        step = [
            item.prepare(arrays) if isinstance(item, Kernel)
            else partial(products.multiply, _views(products, item, arrays))
            for item in self.items
        ]  # fmt: skip
        for _ in range(plan.epochs):
            begin()
            for _ in range(-(-plan.samples // plan.batch)):
                for launch in step:
                    launch()
                finish()


def _views(products: Products, which: list[Product], arrays: dict[str, Any]) -> list[tuple[str, Any, str, Any, Any]]:
    """Products of views."""
    views = []
    for product in which:
        a, b, c = (products.matrix(arrays[buffer], *part) for _, buffer, *part in product)
        views.append((product[0][0], a, product[1][0], b, c))
    return views
