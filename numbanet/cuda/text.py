"""What a model computes, as functions for the device: a call for each operation, with its numbers written out."""

from __future__ import annotations

from typing import Any

from numbanet.cpu import conv, dense, embedding, normalize
from numbanet.cpu.program import Table
from numbanet.cpu.update_program import UpdateProgram
from numbanet.cuda import products
from numbanet.cuda.bind import Namespace
from numbanet.cuda.program import DeviceProgram
from numbanet.cuda.spread import spread


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
        self.sums = program.place_sums()
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
        """All passes; threads meet after each."""
        table = self.program.passes
        lines = [self.one_pass(k, row) for k, row in zip(table.kernels, table.rows, strict=True)]
        body = "".join(f"    {line}\n    meet_part()\n" for line in lines) or "    pass\n"
        return f"\ndef passes(rank, size, params, hyper, work, base, lanes, filled):\n{body}"

    def one_pass(self, kernel: Any, row: list[int]) -> str:
        """Statement of an operation."""
        head = "rank, size, params, work, base, lanes"
        block = "rank, size, work, base, lanes, filled"
        if kernel is dense.forward:
            weights, x, z, inputs, units, bias = row[1:7]
            one = [1, inputs, 1, 1, 1, 1, 1, 1, 1, 1, units, weights + inputs * units if bias else -1, 0]
            tile = self.tile(products.forward, *products.tile(units * self.lanes, self.threads))
            ones = f"    for t in range(rank, lanes, size):\n        work[base + {x + inputs} * lanes + t] = T(1)"
            return f"{tile}({head}, {weights}, {x}, {z}, {', '.join(map(str, one))})\n" + (ones if bias else "")
        if kernel is dense.backward:
            weights, dz, dx, inputs, units = row[1:6]
            one = [1, 1, inputs, 1, 1, 1, 1, 1, 1, 1, 1, units]
            tile = self.tile(products.backward, *products.tile(inputs * self.lanes, self.threads))
            return f"{tile}({head}, {weights}, {dz}, {dx}, {', '.join(map(str, one))})"
        if kernel is conv.forward:
            geometry, (rows, columns, units, bias, step) = row[1:12], row[12:17]
            tile = self.tile(products.forward, *products.tile(rows * columns * units * self.lanes, self.threads))
            rest = (columns, rows * columns, units, bias, step)
            return f"{tile}({head}, {', '.join(map(str, [*geometry, *rest]))})"
        if kernel is conv.backward:
            weights, dz, dx, width, channels = row[1:6]
            rows, columns, units, height = row[12:16]
            pixels = height * width
            tile = self.tile(products.backward, *products.tile(pixels * channels * self.lanes, self.threads))
            numbers = (weights, dz, dx, pixels, width, channels, *row[6:12], rows, columns, units)
            return f"{tile}({head}, {', '.join(map(str, numbers))})"
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
        if kernel is normalize.batch_backward:
            dz, positions, channels, tail, z = row[1:6]
            return f"batch_backward({block}, {dz}, {positions}, {channels}, {self.tail(tail)}, {z})"
        count, texts = spread(kernel, row)
        place = "base + t % lanes" if count > 1 else "base + t"
        part = f"        part = {'t // lanes' if count > 1 else '0'}\n"
        return (
            f"for t in range(rank, {count} * lanes, size):\n{part}        "
            f"{self.kernel(kernel)}(params, hyper, lane(work, {place}, lanes), {_tuple(texts)}, 0, 0, 1, 1)"
        )

    # -- gradients ----------------------------------------------------------------------

    def gradients(self) -> str:
        """All gradients of a block of lanes."""
        table = self.program.gradients
        lines = [
            line
            for k, row, (sums, slices) in zip(table.kernels, table.rows, self.sums, strict=True)
            for line in self.one_gradient(k, row, sums, slices)
        ]
        body = "".join(f"    {line}\n" for line in lines) or "    pass\n"
        return f"\ndef gradients(rank, size, grads, slices, pitch, adds, work, base, lanes):\n{body}"

    def one_gradient(self, kernel: Any, row: list[int], sums: int, parts: int) -> list[str]:
        """Statements of one."""
        head = "rank, size, grads, slices, pitch, adds, work, base, lanes"
        if kernel is dense.gradient:
            weights, rows, units, x, dz = row[1:6]
            side = products.tile(rows * units * self.slices, self.threads)
            name = self.tile(products.gradient, *side)
            return [f"{name}({head}, {weights}, {rows}, {units}, {x}, {dz})"]
        if kernel is conv.gradient:
            weights, rows, units = row[1:4]
            side = products.tile(rows * units * parts * self.lanes, self.threads)
            name = self.tile(products.convolution_sums, *side)
            numbers = ", ".join(map(str, [sums, parts, *row[2:16]]))
            return self._summed(f"{name}(rank, size, work, base, lanes, {numbers})", sums, parts, weights, rows * units)
        if kernel is normalize.channel_gradient:
            offset, channels, _, dz, positions, scratch, x = row[1:8]
            call = f"channel_sums(rank, size, work, base, lanes, {channels}, {dz}, {positions}, {scratch}, {x})"
            return self._summed(call, scratch, 1, offset, channels)
        if kernel is embedding.gradient:
            return [f"embedding_gradient({head}, {', '.join(map(str, row[1:7]))})"]
        if kernel is normalize.batch_gradient:
            offset, _, channels, tail = row[1:5]
            return [
                f"batch_gradient({head}, {offset}, {channels}, {self.tail(tail)})",
            ]
        raise ValueError(f"there is no CUDA kernel for the gradient {getattr(kernel, '__name__', kernel)}")

    def _summed(self, call: str, sums: int, parts: int, offset: int, count: int) -> list[str]:
        """Sums for each lane, then over lanes."""
        return [
            call, "meet_part()", f"fold(rank, size, work, base + {sums} * lanes, {count * parts}, lanes)",
            "gather_sums(rank, size, grads, slices, pitch, adds, work, base, lanes, "
            f"{sums}, {parts}, {offset}, {count})",
        ]  # fmt: skip

    # -- updates ------------------------------------------------------------------------

    def of_updates(self) -> list[str]:
        """What becomes of each element of the gradient and of the parameters."""
        updates = self.updates
        ranges = [(row[2], row[3]) for row in updates.updates.rows if row[4]]
        inside = " or ".join(f"{first} <= i < {last}" for first, last in ranges) or "False"
        return [
            self._elements("transforms", [updates.slopes, updates.clips, updates.masks]),
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
