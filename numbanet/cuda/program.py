"""A model's operations for the device: those of the CPU's program, with scratch for sums that threads share."""

from __future__ import annotations

from numbanet.cpu import conv, normalize
from numbanet.cpu.program import Program, Table
from numbanet.cpu.update_program import UpdateProgram
from numbanet.graph import Graph
from numbanet.spec import Loss, Optimizer, Regularizer

MANY = 1 << 15  # weights from which on there is a tile for each thread, which adds up over lanes itself
SUMS = 2048  # sums that a convolution's gradient is made of at least, for enough threads to have one


class DeviceProgram(Program):
    """Lowered as for the CPU; addresses are 0, and a block is as many lanes as a launch wants."""

    def begin(self) -> None:
        """Tables of kernels that are compiled elsewhere."""
        self.passes, self.gradients, self.product = Table(None), Table(None), 0

    def panels(self, slope: int, units: int) -> int:
        """The product for dW reads dz where it lies."""
        return slope

    def place_sums(self) -> None:
        """For each gradient the first row of the sums it is made of, a number for every lane, and their slices or 0.

        All sums are the last rows, so that they are added up over lanes at once.
        """
        self.sums: list[tuple[int, int]] = []
        before = self.rows
        for kernel, row in zip(self.gradients.kernels, self.gradients.rows, strict=True):
            size, slices = 0, 1
            if kernel is conv.gradient and row[2] * row[3] < MANY:
                size = row[2] * row[3]
                slices = max(1, min(row[14], SUMS // size))
            elif kernel is conv.gradient:
                slices = 0
            elif kernel is normalize.channel_gradient:
                size = row[2]
            self.sums.append((self.reserve(size * slices), slices))
        self.sum_rows = self.rows - before


def programs(
    graph: Graph, dtype: str, loss: Loss | None, classes: bool, train: bool, optimizer: Optimizer | None,
    regularizer: Regularizer | None,
) -> tuple[DeviceProgram, UpdateProgram]:  # fmt: skip
    """What a step computes, and what then becomes of the parameters."""
    program = DeviceProgram(graph, dtype, loss, classes=classes, train=train)
    program.place_sums()
    updates = UpdateProgram(
        graph, optimizer if train else None, regularizer, dtype, program.hyper, here=False
    )
    return program, updates

