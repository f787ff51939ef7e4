"""How kernels for lanes become kernels for threads: each thread has a lane, and a part of what the lane computes.

A kernel of the CPU works through blocks of lanes whose values lie side by side. Here it is given one lane at a time,
as an array that steps from row to row, and of what it would compute for the lane a part where parts don't meet: an
element of an activation, a position of a normalization, a window's row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numbanet.cpu import elementwise, embedding, image, join, noise, normalize

Row = list[int]
Split = Callable[[Row], tuple[int, list[str]]]


def _advance(count: int, **steps: Any) -> Split:
    """Columns ``c<i>`` move by a step for each part, of which column ``count`` has the number, and then 1."""

    def split(row: Row) -> tuple[int, list[str]]:
        columns = [str(n) for n in row]
        columns[count] = "1"
        for name, step in steps.items():
            i = int(name[1:])
            size = step(row) if callable(step) else step
            if row[i] >= 0:
                columns[i] = f"{row[i]} + part" if size == 1 else f"{row[i]} + part * {size}"
        return row[count], columns

    return split


def _dropout(row: Row) -> tuple[int, list[str]]:
    x, z, units, keys, stream, positions, hyper = row[1:8]
    columns = ["0", f"{x} + part", f"{z} + part", "1", str(keys), f"{stream} + part % {units}", "1", str(hyper)]
    return units * positions, columns


def _window(place: int, position: int) -> Split:
    """A window a part: columns of where windows look, and of where their outputs are."""

    def split(row: Row) -> tuple[int, list[str]]:
        width, channels, down, right, rows, wide = row[3], row[4], row[7], row[8], row[9], row[10]
        columns = [str(n) for n in row]
        columns[place] = f"{row[place]} + (part // {wide} * {down * width} + part % {wide} * {right}) * {channels}"
        columns[position] = f"{row[position]} + part * {channels}"
        columns[9] = columns[10] = "1"
        return rows * wide, columns

    return split


def _window_rows(looks: tuple[int, ...], outputs: tuple[int, ...], total: int) -> Split:
    """A row of windows a part, where rows don't overlap; each fills its own rows of dx."""

    def split(row: Row) -> tuple[int, list[str]]:
        width, channels, high, down, rows, wide = row[3], row[4], row[5], row[7], row[9], row[10]
        columns = [str(n) for n in row]
        if high > down:
            return 1, columns
        step = down * width * channels
        for i in looks:
            columns[i] = f"{row[i]} + part * {step}"
        for i in outputs:
            columns[i] = f"{row[i]} + part * {wide * channels}"
        columns[9] = "1"
        columns[total] = f"({step} if part < {rows - 1} else {row[total] - (rows - 1) * step})"
        return rows, columns

    return split


def _crop(row: Row) -> tuple[int, list[str]]:
    columns = [str(n) for n in row]
    columns[1] = f"{row[1]} + part * {row[4] * row[5]}"
    columns[2] = f"{row[2]} + part * {row[9] * row[5]}"
    columns[3] = "1"
    return row[3], columns


def _width(row: Row) -> int:
    return row[4]


_NAMED = {
    "forward": _advance(3, c1=1, c2=1),
    "backward": _advance(3, c1=1, c2=1, c6=1),
    "gaussian": _advance(3, c1=1, c2=1, c5=1),
}
_SPLITS: list[tuple[Any, Split]] = [
    (elementwise.scale, _advance(3, c1=1, c2=1, c4=1, c5=1, c6=1)),
    (join.add, _advance(4, c1=1, c2=1, c3=1)),
    (join.copy, _advance(3, c1=1, c2=1)),
    (noise.dropout, _dropout),
    (embedding.forward, _advance(4, c2=1, c3=lambda row: row[5])),
    (normalize.affine_forward, _advance(3, c1=_width, c2=_width)),
    (normalize.affine_backward, _advance(3, c1=_width, c2=_width)),
    (normalize.layer_forward, _advance(3, c1=_width, c2=_width, c5=1)),
    (image.max_pool, _window(1, 2)),
    (image.average_pool, _window(1, 2)),
    (image.max_pool_backward, _window_rows((1, 11), (2, 12), 13)),
    (image.average_pool_backward, _window_rows((1,), (2,), 11)),
    (image.crop, _crop),
]


_POINTWISE = (elementwise.scale, join.add, join.copy, noise.dropout)


def is_pointwise(kernel: Any) -> bool:
    """Whether a part is an element, made from those in the same place of other values."""
    return _generated(kernel) in _NAMED or kernel in _POINTWISE


def touches(kernel: Any, row: Row) -> int:
    """First row of what an activation, or its derivative, changes or reads element by element; -1 of others."""
    return {"forward": row[1], "backward": row[6]}.get(_generated(kernel), -1)


def _generated(kernel: Any) -> str:
    """Name of a kernel around a formula."""
    return kernel.__name__ if getattr(kernel, "__module__", "").startswith("numbanet.kernels.") else ""


def spread(kernel: Any, row: Row) -> tuple[int, list[str]]:
    """Into how many parts a lane's work falls, and the integers of each, as texts in which it is ``part``."""
    if _generated(kernel) in _NAMED:
        return _NAMED[_generated(kernel)](row)
    for known, split in _SPLITS:
        if kernel is known:
            return split(row)
    return 1, [str(n) for n in row]
