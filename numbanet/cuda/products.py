"""Matrix products on the device: tiles of numbers in a thread's registers, written out for each size of tile.

A dense layer is a convolution of one position, so that the two have one product forward and one back.
"""

from __future__ import annotations

TILES = ((8, 4), (4, 4), (4, 2), (2, 2), (2, 1), (1, 1))  # rows and lanes of a thread


def tile(outputs: int, threads: int) -> tuple[int, int]:
    """The largest tile that leaves every thread one."""
    return next((t for t in TILES if outputs >= t[0] * t[1] * threads), TILES[-1])


def each(count: int, line: str, indent: int) -> str:
    """A line for each number, which stands for ``#``."""
    return "".join(f"{' ' * indent}{line.replace('#', str(i))}\n" for i in range(count))


def _lanes(count: int) -> str:
    """A thread's lanes are far apart, so that neighbours in a warp read neighbours in memory."""
    return each(count, "l# = min(lane + # * groups, lanes - 1)", 8)


def _clear(rows: int, columns: int) -> str:
    return "".join(f"        c{i}_{j} = T(0)\n" for i in range(rows) for j in range(columns))


def _multiply(indent: int, rows: int, columns: int) -> str:
    return "".join(
        f"{' ' * indent}c{i}_{j} += a{i} * b{j}\n" for i in range(rows) for j in range(columns)
    )  # fmt: skip


def _store(rows: int, lanes: int, name: str, place: str, limit: str) -> str:
    """Of rows and lanes those that there are."""
    text = ""
    for i in range(rows):
        text += f"        if {name} + {i} < {limit}:\n"
        for j in range(lanes):
            text += f"            if lane + {j} * groups < lanes:\n"
            text += f"                put(work, {place} + ({name} + {i}) * lanes + l{j}, c{i}_{j})\n"
    return text


def forward(rows: int, lanes: int) -> str:
    """z = W * x + b for each position; its name in the text is ``forward_<rows>_<lanes>``."""
    bias = "".join(
        f"            b = get(params, bias + position * step + u{i})\n"
        + "".join(f"            c{i}_{j} = b\n" for j in range(lanes))
        for i in range(rows)
    )
    return f"""
def forward_{rows}_{lanes}(
    rank, size, params, work, base, lanes, weights, x, z, width, channels, high, wide, down, right, gap_down, gap_right,
    columns, positions, units, bias, step,
):
    groups = (lanes + {lanes - 1}) // {lanes}
    tiles = (units + {rows - 1}) // {rows}
    for t in range(rank, positions * tiles * groups, size):
        lane, unit, position = t % groups, t // groups % tiles * {rows}, t // (groups * tiles)
{_lanes(lanes)}{each(rows, "u# = min(unit + #, units - 1)", 8)}{_clear(rows, lanes)}\
        if bias >= 0:
{bias}\
        corner = position // columns * down * width + position % columns * right
        for tap in range(high * wide):
            at = base + (x + (corner + tap // wide * gap_down * width + tap % wide * gap_right) * channels) * lanes
            w = weights + tap * channels * units
            for c in range(channels):
{each(rows, "a# = get(params, w + u#)", 16)}\
{each(lanes, "b# = get(work, at + l#)", 16)}\
{_multiply(16, rows, lanes)}\
                at += lanes
                w += units
        place = base + (z + position * units) * lanes
{_store(rows, lanes, "unit", "place", "units")}"""


def backward(rows: int, lanes: int) -> str:
    """dx: for each pixel what the windows that hold it give back; ``backward_<rows>_<lanes>``."""
    return f"""
def backward_{rows}_{lanes}(
    rank, size, params, work, base, lanes, weights, dz, dx, pixels, width, channels, high, wide, down, right, gap_down,
    gap_right, lines, columns, units,
):
    groups = (lanes + {lanes - 1}) // {lanes}
    tiles = (channels + {rows - 1}) // {rows}
    for t in range(rank, pixels * tiles * groups, size):
        lane, channel, pixel = t % groups, t // groups % tiles * {rows}, t // (groups * tiles)
{_lanes(lanes)}{each(rows, "r# = min(channel + #, channels - 1) * units", 8)}\
{_clear(rows, lanes)}\
        for tap in range(high * wide):
            row, column = pixel // width - tap // wide * gap_down, pixel % width - tap % wide * gap_right
            inside = 0 <= row < lines * down and row % down == 0 and 0 <= column < columns * right
            if inside and column % right == 0:
                at = base + (dz + (row // down * columns + column // right) * units) * lanes
                w = weights + tap * channels * units
                for u in range(units):
{each(rows, "a# = get(params, w + r# + u)", 20)}\
{each(lanes, "b# = get(work, at + l#)", 20)}\
{_multiply(20, rows, lanes)}\
                    at += lanes
        place = base + (dx + pixel * channels) * lanes
{_store(rows, lanes, "channel", "place", "channels")}"""


def _taps(rows: int) -> str:
    """Where a tile's rows are read, from the corner of a window on."""
    return "".join(
        f"        k = min(row + {i}, rows - 1)\n"
        f"        x{i} = (k // (wide * channels) * gap_down * width + k // channels % wide * gap_right) * channels"
        " + k % channels\n"
        for i in range(rows)
    )


def gradient(rows: int, columns: int) -> str:
    """dW (+)= sums of x dz' over positions and slices of the lanes, each into a gradient of its own.

    ``gradient_<rows>_<columns>``; a dense layer has one position. Threads begin at lanes of their own, and so at other
    banks of the memory that they share.
    """
    stores = ""
    for i in range(rows):
        stores += f"        if row + {i} < rows:\n"
        for j in range(columns):
            place = f"place + (row + {i}) * units + unit + {j}"
            stores += f"            if unit + {j} < units:\n"
            stores += f"                put(grads, {place}, c{i}_{j} + get(grads, {place}) if adds else c{i}_{j})\n"
    return f"""
def gradient_{rows}_{columns}(
    rank, size, grads, slices, pitch, adds, work, base, lanes, weights, rows, units, x, dz, width, channels, high, wide,
    down, right, gap_down, gap_right, lines, columns,
):
    tall, broad = (rows + {rows - 1}) // {rows}, (units + {columns - 1}) // {columns}
    for t in range(rank, tall * broad * slices, size):
        unit, row, part = t % broad * {columns}, t // broad % tall * {rows}, t // (broad * tall)
        first, last = lanes * part // slices, lanes * (part + 1) // slices
{_taps(rows)}{each(columns, "z# = min(unit + #, units - 1)", 8)}{_clear(rows, columns)}\
        for line in range(lines):
            for column in range(columns):
                at = x + (line * down * width + column * right) * channels
                to = dz + (line * columns + column) * units
                lane = first + t % max(1, last - first)
                for k in range(last - first):
{each(rows, "a# = get(work, base + (at + x#) * lanes + lane)", 20)}\
{each(columns, "b# = get(work, base + (to + z#) * lanes + lane)", 20)}\
{_multiply(20, rows, columns)}\
                    lane = lane + 1 if lane + 1 < last else first
        place = part * pitch + weights
{stores}"""


def convolution_sums(rows: int, columns: int) -> str:
    """For each lane the sums over positions of x dz, in slices of an image's rows; ``sums_<rows>_<columns>``."""
    stores = ""
    for i in range(rows):
        stores += f"        if row + {i} < rows:\n"
        for j in range(columns):
            stores += f"            if unit + {j} < units:\n"
            stores += f"                put(work, place + ((row + {i}) * units + unit + {j}) * lanes, c{i}_{j})\n"
    return f"""
def sums_{rows}_{columns}(
    rank, size, work, base, lanes, sums, slices, rows, units, x, dz, width, channels, high, wide, down, right, gap_down,
    gap_right, lines, columns,
):
    tall, broad = (rows + {rows - 1}) // {rows}, (units + {columns - 1}) // {columns}
    for t in range(rank, tall * broad * slices * lanes, size):
        lane, q = t % lanes, t // lanes
        unit, row, part = q % broad * {columns}, q // broad % tall * {rows}, q // (broad * tall)
{_taps(rows)}{each(columns, "z# = min(unit + #, units - 1)", 8)}{_clear(rows, columns)}\
        for line in range(lines * part // slices, lines * (part + 1) // slices):
            for column in range(columns):
                at = x + (line * down * width + column * right) * channels
                to = dz + (line * columns + column) * units
{each(rows, "a# = get(work, base + (at + x#) * lanes + lane)", 16)}\
{each(columns, "b# = get(work, base + (to + z#) * lanes + lane)", 16)}\
{_multiply(16, rows, columns)}\
        place = base + (sums + part * rows * units) * lanes + lane
{stores}"""
