"""Rows of a table, chosen by indices: z[position, d, lane] = table[x[position, lane], d]."""

from __future__ import annotations

from numbanet.cpu.jit import kernel
from numbanet.cpu.memory import view


@kernel
def forward(params, hyper, work, op, base, stride, blocks, lanes):
    """Look up; op: table, x, z, positions, width."""
    for i in range(blocks * op[4]):
        block, p = base + i // op[4] * stride, i % op[4]
        x = view(work, block + (op[2] + p) * lanes, lanes)
        z = view(work, block + (op[3] + p * op[5]) * lanes, op[5] * lanes)
        for lane in range(lanes):
            row = op[1] + int(x[lane]) * op[5]
            for d in range(op[5]):
                z[d * lanes + lane] = params[row + d]


@kernel
def gradient(grads, at, work, op, base, stride, blocks, lanes, first, last, accumulate, ahead):
    """Rows of the table's gradient (+)= dz where they were chosen; op: table, rows, width, x, dz, positions."""
    if not accumulate:
        view(grads, at, (last - first) * op[3])[:] = 0
    for i in range(blocks * op[6]):
        block, p = base + i // op[6] * stride, i % op[6]
        x = view(work, block + (op[4] + p) * lanes, lanes)
        dz = view(work, block + (op[5] + p * op[3]) * lanes, op[3] * lanes)
        for lane in range(lanes):
            row = int(x[lane])
            if first <= row < last:
                place = at + (row - first) * op[3]
                for d in range(op[3]):
                    grads[place + d] += dz[d * lanes + lane]
