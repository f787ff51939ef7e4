"""What a model computes, as functions for the device: a call for each operation, with its numbers written out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from numbanet.cpu import conv, dense, embedding, image, normalize
from numbanet.cpu.program import Table
from numbanet.cpu.update_program import UpdateProgram
from numbanet.cuda import products
from numbanet.cuda.bind import Namespace
from numbanet.cuda.program import DeviceProgram
from numbanet.cuda.spread import is_pointwise, spread, touches

GRADIENT = "rank, size, grads, slices, pitch, adds, work, base, lanes"
PRODUCTS = (dense.forward, dense.backward, conv.forward, conv.backward)
OWN = (
    image.pad, normalize.batch_measure, normalize.batch_forward, normalize.batch_measure_slope,
    normalize.batch_backward,
)  # fmt: skip


@dataclass(frozen=True)
class Made:
    """What an operation has made, and which thread has made what.

    Attributes
    ----------
    text : str
        Statements.
    count, place : int
        Elements of a lane that it has made, or parts of a lane's work, and the first row, if that matters.
    tile : (int, int, int) or None
        Rows and lanes of a thread's tile, and units, of a product.
    pointwise : bool
        Whether a thread has made elements from those in the same place.
    """

    text: str = ""
    count: int = -1
    place: int = -1
    tile: tuple[int, int, int] | None = None
    pointwise: bool = False


def _tuple(columns: list[Any]) -> str:
    return f"({', '.join(map(str, columns))},)"


class Writer:
    """Writes the functions of one program.

    Parameters
    ----------
    program, updates : DeviceProgram, UpdateProgram
        What a step computes.
    space : Namespace
        Gets the functions.
    lanes, threads : int
        Lanes of a block, about, and threads that share it: they decide on the tiles of products.
    slices : int
        Gradients that are added up.
    """

    def __init__(
        self, program: DeviceProgram, updates: UpdateProgram, space: Namespace, lanes: int, threads: int, slices: int
    ) -> None:
        self.program, self.updates, self.space = program, updates, space
        self.lanes, self.threads, self.slices = lanes, threads, slices
        self.tiles: dict[str, str] = {}
        self.kernels = 0
        self.rows = program.rows

    def write(self) -> None:
        """Define everything."""
        parts = [self.passes(), self.gradients(), *self.of_updates()]
        self.space.define("\n".join([*self.tiles.values(), *parts]))

    def tail(self, distance: int) -> str:
        """Where a tail starts that is so far from the end of the block."""
        return f"base + {self.rows} * lanes + {self.program.tail - distance}"

    def tile(self, kind: Any, rows: int, lanes: int) -> str:
        """Name of a product's function."""
        name = {products.convolution_sums: "sums"}.get(kind, kind.__name__) + f"_{rows}_{lanes}"
        self.tiles.setdefault(name, kind(rows, lanes))
        return name

    def kernel(self, kernel: Any) -> str:
        """Name of a kernel of the CPU's."""
        self.kernels += 1
        self.space.names[f"kernel{self.kernels}"] = self.space.device(kernel)
        return f"kernel{self.kernels}"

    # -- forward, loss and backward -----------------------------------------------------

    def passes(self) -> str:
        """All passes; threads meet after each, unless the next needs only what the same thread has made."""
        table = self.program.passes
        body, _ = self.sequence(list(zip(table.kernels, table.rows, strict=True)))
        body += "    meet_part()\n" if body else "    pass\n"
        return f"\ndef passes(rank, size, params, hyper, work, base, lanes, filled):\n{body}"

    def sequence(self, operations: list[tuple[Any, list[int]]]) -> tuple[str, bool]:
        """Operations one after the other, and whether threads meet between them."""
        made, body, meets = Made(), "", False
        for kernel, row in operations:
            if made.text and not self.follows(made, kernel, row):
                body += "    meet_part()\n"
                made, meets = Made(), True
            made = self.one_pass(kernel, row, made)
            body += f"    rank = fresh(rank)\n    {made.text}\n"
            meets = meets or kernel in OWN
        return body, meets

    def follows(self, made: Made, kernel: Any, row: list[int]) -> bool:
        """Whether an operation needs, of what was made last, only what the same thread has made."""
        if kernel in OWN or kernel in PRODUCTS:
            return False
        count, _ = spread(kernel, row)
        if made.tile is not None:
            return touches(kernel, row) == made.place and count == made.count
        return count == made.count and (count == 1 or (made.pointwise and is_pointwise(kernel)))

    def one_pass(self, kernel: Any, row: list[int], made: Made | None = None) -> Made:
        """Statements of an operation; behind what was ``made``, threads keep the elements that they have."""
        head = "rank, size, params, work, base, lanes"
        block = "rank, size, work, base, lanes, filled"
        if kernel is dense.forward:
            weights, x, z, inputs, units, bias = row[1:7]
            offset = weights + inputs * units if bias else -1
            row = [0, weights, x, z, 1, inputs, 1, 1, 1, 1, 1, 1, 1, 1, units, offset, 0]
            made = self.one_pass(conv.forward, row)
            ones = f"\n    for t in range(rank, lanes, size):\n        work[base + {x + inputs} * lanes + t] = T(1)"
            return replace(made, text=made.text + ones) if bias else made
        if kernel is dense.backward:
            weights, dz, dx, inputs, units = row[1:6]
            return self.one_pass(conv.backward, [0, weights, dz, dx, 1, inputs, 1, 1, 1, 1, 1, 1, 1, 1, units, 1])
        if kernel is conv.forward:
            geometry, (rows, columns, units, bias, step) = row[1:12], row[12:17]
            side = products.tile(rows * columns * units * self.lanes, self.threads)
            numbers = [*geometry, columns, rows * columns, units, bias, step]
            text = f"{self.tile(products.forward, *side)}({head}, {', '.join(map(str, numbers))})"
            return Made(text, rows * columns * units, row[3], (*side, units))
        if kernel is conv.backward:
            weights, dz, dx, width, channels = row[1:6]
            rows, columns, units, height = row[12:16]
            pixels = height * width
            side = products.tile(pixels * channels * self.lanes, self.threads)
            numbers = [weights, dz, dx, pixels, width, channels, *row[6:12], rows, columns, units]
            text = f"{self.tile(products.backward, *side)}({head}, {', '.join(map(str, numbers))})"
            return Made(text, pixels * channels, dx, (*side, channels))
        if kernel in OWN:
            return Made(self.own(kernel, row, block))
        count, texts = spread(kernel, row)
        call = f"{self.kernel(kernel)}(params, hyper, lane(work, {{}}, lanes), {_tuple(texts)}, 0, 0, 1, 1)"
        if made is not None and made.tile is not None:
            height, width, units = made.tile
            tiles = -(-units // height)
            text = (
                f"groups = (lanes + {width - 1}) // {width}\n"
                f"    for t in range(rank, {count // units * tiles} * groups, size):\n"
                f"        for i in range({height * width}):\n"
                f"            unit = t // groups % {tiles} * {height} + i // {width}\n"
                f"            own = t % groups + i % {width} * groups\n"
                f"            if unit < {units} and own < lanes:\n"
                f"                part = t // (groups * {tiles}) * {units} + unit\n"
                f"                {call.format('base + own')}"
            )
            return replace(made, text=text)
        place = "base + t % lanes" if count > 1 else "base + t"
        part = f"        part = {'t // lanes' if count > 1 else '0'}\n"
        text = f"for t in range(rank, {count} * lanes, size):\n{part}        {call.format(place)}"
        return Made(text, count, pointwise=is_pointwise(kernel))

    def own(self, kernel: Any, row: list[int], block: str) -> str:
        """Statement of an operation that has a kernel of the device's own."""
        if kernel is image.pad:
            return f"pad(rank, size, hyper, work, base, lanes, {', '.join(map(str, row[1:11]))})"
        if kernel is normalize.batch_measure:
            x, positions, channels, tail, scratch = row[1:6]
            return f"batch_measure({block}, {x}, {positions}, {channels}, {self.tail(tail)}, {scratch})"
        if kernel is normalize.batch_forward:
            x, positions, channels, tail, z, at = row[1:7]
            return (
                f"batch_forward(rank, size, hyper, work, base, lanes, {x}, {positions}, {channels}, "
                f"{self.tail(tail)}, {z}, {at})"
            )
        if kernel is normalize.batch_measure_slope:
            dz, positions, channels, tail, scratch, z = row[1:7]
            return f"batch_measure_slope({block}, {dz}, {positions}, {channels}, {self.tail(tail)}, {scratch}, {z})"
        dz, positions, channels, tail, z = row[1:6]
        return f"batch_backward({block}, {dz}, {positions}, {channels}, {self.tail(tail)}, {z})"

    # -- gradients ----------------------------------------------------------------------

    def gradients(self) -> str:
        """All gradients of a block of lanes."""
        body = self.gradient_statements() or "    pass\n"
        return f"\ndef gradients(rank, size, grads, slices, pitch, adds, work, base, lanes):\n{body}"

    def gradient_statements(self, but: Any = None) -> str:
        """Statements of all gradients, but those of a kernel."""
        table = self.program.gradients
        calls, sums = [], []
        for kernel, row, (first, parts) in zip(table.kernels, table.rows, self.program.sums, strict=True):
            if kernel is but:
                continue
            call, count = self.one_gradient(kernel, row, first, parts)
            calls.append(call)
            if count:
                sums.append(f"gather_sums({GRADIENT}, {first}, {parts}, {row[1]}, {count})")
        rows = self.program.sum_rows
        lines = calls
        if sums:
            fold = f"fold(rank, size, work, base + {self.rows - rows} * lanes, {rows}, lanes)"
            lines = [*calls, "meet_part()", fold, *sums]
        return "".join(f"    rank = fresh(rank)\n    {line}\n" for line in lines)

    def one_gradient(self, kernel: Any, row: list[int], sums: int, parts: int) -> tuple[str, int]:
        """Statement of one, and of how many elements it makes sums that are yet to be added up over lanes."""
        if kernel is dense.gradient:
            rows = row[2]
            return self.one_gradient(conv.gradient, [*row[:6], rows, rows, *[1] * 8], 0, 0)
        if kernel is conv.gradient and parts == 0:
            rows, units = row[2:4]
            name = self.tile(products.gradient, *products.tile(rows * units * self.slices, self.threads))
            return f"{name}({GRADIENT}, {', '.join(map(str, row[1:16]))})", 0
        if kernel is conv.gradient:
            rows, units = row[2:4]
            side = products.tile(rows * units * parts * self.lanes, self.threads)
            numbers = ", ".join(map(str, [sums, parts, *row[2:16]]))
            name = self.tile(products.convolution_sums, *side)
            return f"{name}(rank, size, work, base, lanes, {numbers})", rows * units
        if kernel is normalize.channel_gradient:
            channels, dz, positions, x = row[2], row[4], row[5], row[7]
            numbers = f"{channels}, {dz}, {positions}, {sums}, {x}"
            return f"channel_sums(rank, size, work, base, lanes, {numbers})", channels
        if kernel is embedding.gradient:
            return f"embedding_gradient({GRADIENT}, {', '.join(map(str, row[1:7]))})", 0
        if kernel is normalize.batch_gradient:
            offset, _, channels, tail = row[1:5]
            return f"batch_gradient({GRADIENT}, {offset}, {channels}, {self.tail(tail)})", 0
        name = f"{getattr(kernel, '__module__', '')}.{getattr(kernel, '__name__', kernel)}"
        raise ValueError(f"{name} has no counterpart on the GPU, so that its layer is trained with device='cpu' alone")

    # -- updates ------------------------------------------------------------------------

    def of_updates(self) -> list[str]:
        """What becomes of each element of the gradient and of the parameters."""
        updates = self.updates
        ranges = [(row[2], row[3]) for row in updates.updates.rows if row[4]]
        inside = " or ".join(f"{first} <= i < {last}" for first, last in ranges) or "False"
        return [
            self._elements("transforms", [updates.slopes, updates.masks]),
            self._elements("clips", [updates.clips]),
            self._elements("penalties", [updates.penalties]),
            self._elements("updates", [updates.updates]),
            f"\ndef trained_square(grads, i):\n    value = 0.0\n    if {inside}:\n"
            "        value = float(grads[i])\n    return value * value\n",
            self._projections(updates.projections),
        ]

    def _elements(self, name: str, tables: list[Table]) -> str:
        """Parameter ``i``, whose gradient is at ``at``."""
        body = ""
        for table in tables:
            for kernel, row in zip(table.kernels, table.rows, strict=True):
                body += f"    if {row[2]} <= i < {row[3]}:\n        {self.kernel(kernel)}(params, grads, at, states, "
                body += f"hyper, {_tuple(row[:8])}, step, i, i + 1)\n"
        return f"\ndef {name}(params, grads, at, states, hyper, step, i):\n{body or '    pass' + chr(10)}"

    def _projections(self, table: Table) -> str:
        body = ""
        for kernel, row in zip(table.kernels, table.rows, strict=True):
            body += f"    for u in range(rank, {row[4]}, size):\n        {self.kernel(kernel)}(params, grads, 0, "
            body += f"states, hyper, {_tuple(row[:8])}, step, u, u + 1)\n    meet()\n"
        return f"\ndef projections(rank, size, params, grads, states, hyper, step):\n{body or '    pass' + chr(10)}"
