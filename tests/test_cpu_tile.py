"""The register tile and the transposes against NumPy, to the last bit: all numbers are small integers.

Every output lies in a buffer of a value that must survive wherever nothing is to be written.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import config

from numbanet.cpu import cachelines, dense, host, lanes
from numbanet.cpu.jit import address, kernel
from numbanet.cpu.memory import aligned, grid, view

DTYPES = ("float32", "float64")
CANARY = -77.0
NOTHING = {dtype: np.empty(0, dtype) for dtype in DTYPES}
NOTHING_AHEAD = np.empty(0, np.int64)

both_dtypes = pytest.mark.parametrize("dtype", DTYPES)
only_checked = pytest.mark.skipif(not config.BOUNDSCHECK, reason="bounds are checked with NUMBA_BOUNDSCHECK=1 only")


def integers(rng, *shape, dtype):
    return rng.integers(-8, 9, shape).astype(dtype)


def canaries(size, dtype):
    return np.full(size, CANARY, dtype)


def section(buffer, start, size):
    part = buffer[start : start + size]
    assert part.size == size
    return part


def whole_vectors(width, dtype):
    """Columns of B that may be read: one vector, or both."""
    tile = host.tile(dtype)
    return tile.vector if width <= tile.vector else tile.lanes


# -- the tile -------------------------------------------------------------------------------


def left_matrix(rng, blocks, rows, depth, layout, dtype):
    """A as (blocks, rows, depth), the buffer it lies in, and its steps by row, k and block."""
    a = integers(rng, blocks, rows, depth, dtype=dtype)
    if layout == "rows":  # x of a block, (feature, lane)
        return a, a.ravel(), (depth, 1, rows * depth)
    return a, np.ascontiguousarray(a.transpose(0, 2, 1)).ravel(), (1, rows, rows * depth)  # weights (input, unit)


def right_matrix(rng, blocks, depth, width, dtype, extra=0):
    """B as (blocks, depth, width), the buffer it lies in, NaN beyond the width, and its steps."""
    b = integers(rng, blocks, depth, width, dtype=dtype)
    columns = whole_vectors(width, dtype) + extra
    buffer = np.full((blocks, depth, columns), np.nan, dtype)
    buffer[:, :, :width] = b
    return b, buffer.ravel(), (columns, depth * columns)


def check_product(rng, dtype, rows, width, depth, blocks, strips, layout, accumulate, shift=0, gap=0):
    a, left, a_steps = left_matrix(rng, blocks, rows, depth, layout, dtype)
    parts = [right_matrix(rng, blocks, depth, width, dtype, extra=shift) for _ in range(strips)]
    right, b_steps = np.concatenate([part[1] for part in parts]), parts[0][2]
    ld = width + gap
    out = canaries(shift + strips * rows * ld + 7, dtype)
    place = shift + np.arange(strips)[:, None, None] * rows * ld + np.arange(rows)[:, None] * ld + np.arange(width)
    if accumulate:
        out[place] = integers(rng, *place.shape, dtype=dtype)
    expected = out.copy()
    product = np.stack([sum(a[i] @ b[i] for i in range(blocks)) for b, _, _ in parts])
    expected[place] = product + (expected[place] if accumulate else 0)
    before = np.concatenate([canaries(shift, dtype), left]), np.concatenate([canaries(shift, dtype), right])
    left, right = (part.copy() for part in before)
    dense.product(
        left, shift, *a_steps, right, shift, *b_steps, parts[0][1].size,
        out, shift, ld, rows * ld, rows, depth, blocks, width, strips, int(accumulate), NOTHING_AHEAD,
    )  # fmt: skip
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(left, before[0])
    np.testing.assert_array_equal(right, before[1])


@both_dtypes
@pytest.mark.parametrize("accumulate", [False, True])
def test_every_height_and_width(dtype, accumulate):
    """One tile: 1 to the most rows it has registers for, 1 to all of its columns."""
    rng = np.random.default_rng(0)
    tile = host.tile(dtype)
    for rows in range(1, tile.height + 1):
        for width in range(1, tile.lanes + 1):
            check_product(rng, dtype, rows, width, 3, 1, 1, "rows", accumulate)


@both_dtypes
@given(data=st.data(), rows=st.integers(1, 60), depth=st.integers(1, 70), blocks=st.integers(1, 4),
       strips=st.integers(1, 3), layout=st.sampled_from(["rows", "columns"]), accumulate=st.booleans(),
       shift=st.integers(0, 5), gap=st.integers(0, 40), seed=st.integers(0, 99))  # fmt: skip
def test_product(dtype, data, rows, depth, blocks, strips, layout, accumulate, shift, gap, seed):
    """Any number of rows, any alignment, rows of C anywhere."""
    width = data.draw(st.integers(1, host.tile(dtype).lanes))
    rng = np.random.default_rng(seed)
    check_product(rng, dtype, rows, width, depth, blocks, strips, layout, accumulate, shift, gap)


@both_dtypes
def test_order_of_the_sums(dtype):
    """Every element is summed up in the order of k, one fused product at a time, wherever in a tile it is."""
    rng = np.random.default_rng(1)
    tile = host.tile(dtype)
    rows, depth = 2 * tile.height + 5, 50
    column = rng.normal(size=depth).astype(dtype)
    a = np.tile(rng.normal(size=depth).astype(dtype), rows)
    b = np.repeat(column, tile.lanes)
    out = np.zeros((rows, tile.lanes), dtype)
    dense.product(a, 0, depth, 1, 0, b, 0, tile.lanes, 0, 0,
                  out.ravel(), 0, tile.lanes, 0, rows, depth, 1, tile.lanes, 1, 0, NOTHING_AHEAD)  # fmt: skip
    if not config.DISABLE_JIT:
        assert (out == out[0, 0]).all()
    np.testing.assert_allclose(out[0, 0], a[:depth].astype(float) @ column, rtol=1e-4 if dtype == "float32" else 1e-12)


@both_dtypes
def test_not_a_number_stays_in_its_row_and_column(dtype):
    lanes_ = host.tile(dtype).lanes
    a, b = np.ones((5, 4), dtype), np.ones((4, lanes_), dtype)
    a[3, 1], b[2, lanes_ - 2] = np.nan, np.inf
    out = np.zeros((5, lanes_), dtype)
    dense.product(a.ravel(), 0, 4, 1, 0, b.ravel(), 0, lanes_, 0, 0,
                  out.ravel(), 0, lanes_, 0, 5, 4, 1, lanes_, 1, 0, NOTHING_AHEAD)  # fmt: skip
    expected = np.full((5, lanes_), 4.0)
    expected[:, lanes_ - 2], expected[3] = np.inf, np.nan
    np.testing.assert_array_equal(out, expected)


@only_checked
@both_dtypes
@pytest.mark.parametrize("short", ["a", "b", "c"])
def test_product_beyond_the_end(dtype, short):
    lanes_ = host.tile(dtype).lanes
    sizes = {"a": 5 * 4, "b": 4 * lanes_, "c": 5 * lanes_}
    fine = {name: np.ones(size, dtype) for name, size in sizes.items()}
    tight = {**fine, short: np.ones(sizes[short] - 1, dtype)}
    for arrays, good in ((fine, True), (tight, False)):
        call = (arrays["a"], 0, 4, 1, 0, arrays["b"], 0, lanes_, 0, 0,
                arrays["c"], 0, lanes_, 0, 5, 4, 1, lanes_, 1, 0, NOTHING_AHEAD)  # fmt: skip
        if good:
            dense.product(*call)
        else:
            with pytest.raises(IndexError, match="past the end of an array"):
                dense.product(*call)


# -- what is fetched ahead -------------------------------------------------------------------


@kernel
def want(ahead, array, first, last):
    cachelines.want(ahead, array, first, last)


@kernel
def claim(array, first, last):
    cachelines.claim(array, first, last)


@both_dtypes
def test_product_takes_what_is_wanted(dtype):
    """A line for every k: of the range put last first, and of one range in a tile."""
    tile = host.tile(dtype)
    rows, depth = tile.height + 1, 3  # two tiles
    a, b = np.ones(rows * depth, dtype), np.ones(depth * tile.lanes, dtype)
    out = np.zeros(rows * tile.lanes, dtype)
    wanted = np.zeros(1000, dtype)
    lines = cachelines.LINE // wanted.itemsize
    ahead = np.zeros(7, np.int64)
    want(ahead, wanted, 0, 7 * lines)
    want(ahead, wanted, 10 * lines, 11 * lines)
    assert ahead[0] == 2
    start = wanted.ctypes.data
    assert list(ahead[1:3]) == [start, start + 7 * cachelines.LINE - wanted.itemsize]
    for left in ([1, start + 3 * cachelines.LINE], [0, start + 9 * cachelines.LINE], [0, start + 9 * cachelines.LINE]):
        dense.product(a, 0, depth, 1, 0, b, 0, tile.lanes, 0, 0,
                      out, 0, tile.lanes, 0, rows, depth, 1, tile.lanes, 1, 0, ahead)  # fmt: skip
        assert list(ahead[:2]) == left
        np.testing.assert_array_equal(out, depth)


@both_dtypes
def test_claim_changes_nothing(dtype):
    values = np.random.default_rng(0).normal(size=500).astype(dtype)
    before = values.copy()
    for first, last in ((0, 500), (3, 4), (17, 18 + 16), (33, 499)):
        claim(values, first, last)
    np.testing.assert_array_equal(values, before)


# -- dense layers over several blocks -------------------------------------------------------


def operation(*integers_):
    return np.array([0, *integers_, *[0] * (11 - len(integers_))], np.int64)


def product_address(dtype):
    return address(dense.product, dense.product_signature(dtype))


@both_dtypes
@pytest.mark.parametrize("bias", [0, 1])
@pytest.mark.parametrize(("inputs", "units"), [(1, 1), (3, 17), (40, 2), (13, 33)])
def test_dense_layer(dtype, inputs, units, bias):
    """Forward, backward and the gradient of some of the weights' rows, in three blocks apart from each other."""
    rng = np.random.default_rng(2)
    tile, blocks = host.tile(dtype), 3
    panel_rows = -(-units // tile.vector) * tile.vector
    x_row, z_row, dx_row = 0, inputs + 1, inputs + 1 + units
    panel_row = dx_row + inputs
    rows = panel_row + panel_rows
    for width in (tile.narrow, tile.vector, tile.lanes):
        stride = rows * tile.lanes + 5
        work = canaries(blocks * stride, dtype)
        weights = integers(rng, inputs + bias, units, dtype=dtype)
        x, dz = integers(rng, blocks, inputs, width, dtype=dtype), integers(rng, blocks, units, width, dtype=dtype)
        for i in range(blocks):
            section(work, i * stride, inputs * width)[:] = x[i].ravel()
        expected = work.copy()
        with_ones = np.concatenate([x, np.ones((blocks, bias, width), dtype)], axis=1)
        call = (weights.ravel(), NOTHING[dtype], work)
        dense.forward(*call, operation(0, x_row, z_row, inputs, units, bias, product_address(dtype)), 0, stride, blocks,
                      width)
        for i in range(blocks):
            at = i * stride
            section(expected, at, (inputs + bias) * width)[:] = with_ones[i].ravel()
            section(expected, at + z_row * width, units * width)[:] = (weights.T @ with_ones[i]).ravel()
        np.testing.assert_array_equal(work, expected)

        for buffer in (work, expected):
            for i in range(blocks):
                section(buffer, i * stride + z_row * width, units * width)[:] = dz[i].ravel()
        dense.backward(*call, operation(0, z_row, dx_row, inputs, units, product_address(dtype)), 0, stride, blocks,
                       width)
        for i in range(blocks):
            section(expected, i * stride + dx_row * width, inputs * width)[:] = (weights[:inputs] @ dz[i]).ravel()
        np.testing.assert_array_equal(work, expected)

        lanes.panels(*call, operation(z_row, panel_row, units, tile.vector), 0, stride, blocks, width)
        full = sum(with_ones[i] @ dz[i].T for i in range(blocks))
        grads, first = canaries(3 + full.size + 4, dtype), (inputs + bias) // 2
        op = operation(0, inputs + bias, units, x_row, panel_row, tile.vector, product_address(dtype))
        for accumulate in (0, 1):
            dense.gradient(
                grads, 3, work, op, 0, stride, blocks, width, first, inputs + bias, accumulate, NOTHING_AHEAD
            )
            part = (1 + accumulate) * full[first:].ravel()
            np.testing.assert_array_equal(grads[3 : 3 + part.size], part)
            np.testing.assert_array_equal(grads[:3], CANARY)
            np.testing.assert_array_equal(grads[3 + part.size :], CANARY)


# -- transposes -----------------------------------------------------------------------------


@both_dtypes
@given(data=st.data(), features=st.integers(1, 70), groups=st.integers(0, 3), narrow=st.booleans(),
       first=st.integers(0, 4), start=st.integers(0, 9), seed=st.integers(0, 99))  # fmt: skip
def test_gather(dtype, data, features, groups, narrow, first, start, seed):
    """Chosen samples become columns; spare lanes repeat the last one."""
    rng = np.random.default_rng(seed)
    vector = host.tile(dtype).vector
    width = groups * vector
    if narrow or not groups:
        width += host.tile(dtype).narrow
    count = data.draw(st.integers(1, width))
    samples = integers(rng, 30, features, dtype=dtype)
    index = rng.integers(0, 30, first + count)
    work = canaries(start + features * width + 3, dtype)
    expected = work.copy()
    chosen = index[first + np.minimum(np.arange(width), count - 1)]
    expected[start : start + features * width] = samples[chosen].T.ravel()
    lanes.gather(samples.ravel(), features, index, first, count, work, start, width, vector)
    np.testing.assert_array_equal(work, expected)


@both_dtypes
@pytest.mark.parametrize("size", ["narrow", "lanes"])
def test_every_remainder_of_gather(dtype, size):
    rng = np.random.default_rng(0)
    tile = host.tile(dtype)
    width = getattr(tile, size)
    for features in range(1, 2 * tile.vector + 2):
        samples = integers(rng, width, features, dtype=dtype)  # the last one ends where the array does
        index = rng.permutation(width)
        for count in range(1, width + 1):
            # a narrow block's vectors end where its rows do
            work = canaries(features * width + 1, dtype)
            lanes.gather(samples.ravel(), features, index, 0, count, work, 0, width, tile.vector)
            chosen = index[np.minimum(np.arange(width), count - 1)]
            np.testing.assert_array_equal(work[:-1].reshape(features, -1), samples[chosen].T)
            assert work[-1] == CANARY


@both_dtypes
@given(units=st.integers(1, 80), groups=st.integers(1, 3), blocks=st.integers(1, 3), base=st.integers(0, 9),
       seed=st.integers(0, 99))  # fmt: skip
def test_panels(dtype, units, groups, blocks, base, seed):
    """(unit, lane) becomes panels (lane, unit), as wide as the tile; the last may be one vector wide."""
    rng = np.random.default_rng(seed)
    vector = host.tile(dtype).vector
    width = groups * vector
    panel_rows = -(-units // vector) * vector
    stride = (units + panel_rows) * width + 3
    work = canaries(base + blocks * stride, dtype)
    delta = integers(rng, blocks, units, width, dtype=dtype)
    for i in range(blocks):
        section(work, base + i * stride, units * width)[:] = delta[i].ravel()
    before = work.copy()
    lanes.panels(NOTHING[dtype], NOTHING[dtype], work, operation(0, units, units, vector), base, stride, blocks, width)
    for i in range(blocks):
        at = base + i * stride + units * width
        for u in range(0, units, 2 * vector):
            columns = 2 * vector if units - u > vector else vector
            real = min(columns, units - u)
            panel = work[at : at + width * columns].reshape(width, columns)
            np.testing.assert_array_equal(panel[:, :real], delta[i, u : u + real].T)
            before[at : at + width * columns] = panel.ravel()
            at += width * columns
        assert at == base + i * stride + (units + panel_rows) * width
    np.testing.assert_array_equal(work, before)


@both_dtypes
@given(units=st.integers(1, 40), width=st.integers(1, 40), first=st.integers(0, 5), start=st.integers(0, 9),
       data=st.data(), seed=st.integers(0, 99))  # fmt: skip
def test_scatter(dtype, units, width, first, start, data, seed):
    """The inverse of gather, for as many lanes as there are samples."""
    count = data.draw(st.integers(1, width))
    values = integers(np.random.default_rng(seed), units, width, dtype=dtype)
    work = np.concatenate([canaries(start, dtype), values.ravel()])
    out = canaries((first + count + 2) * units, dtype)
    expected = out.copy()
    expected[first * units : (first + count) * units] = values[:, :count].T.ravel()
    lanes.scatter(work, start, units, width, out, first, count)
    np.testing.assert_array_equal(out, expected)


@both_dtypes
@given(classes=st.integers(1, 30), width=st.integers(1, 40), blocks=st.integers(1, 3), seed=st.integers(0, 99))
def test_one_hot(dtype, classes, width, blocks, seed):
    labels = np.random.default_rng(seed).integers(0, classes, (blocks, width))
    stride = (1 + classes) * width + 3
    work = canaries(blocks * stride, dtype)
    for i in range(blocks):
        work[i * stride : i * stride + width] = labels[i]
    expected = work.copy()
    for i in range(blocks):
        section(expected, i * stride + width, classes * width)[:] = np.eye(classes)[labels[i]].T.ravel()
    lanes.one_hot(NOTHING[dtype], NOTHING[dtype], work, operation(0, 1, classes), 0, stride, blocks, width)
    np.testing.assert_array_equal(work, expected)


def last_sample_is_cut(samples, index, work, vector):
    lanes.gather(samples[:-1], 3, index, 0, 3, work, 0, vector, vector)


def no_such_sample(samples, index, work, vector):
    lanes.gather(samples, 3, index + 1, 0, 3, work, 0, vector, vector)


def negative_sample(samples, index, work, vector):
    lanes.gather(samples, 3, index - 1, 0, 3, work, 0, vector, vector)


def no_room_to_gather(samples, index, work, vector):
    lanes.gather(samples, 3, index, 0, 3, work[:-1], 0, vector, vector)


def no_room_for_panels(samples, index, work, vector):
    nothing = NOTHING[str(work.dtype)]
    lanes.panels(nothing, nothing, work, operation(0, 2, 2, vector), 0, 0, 1, vector)


def no_values_to_scatter(samples, index, work, vector):
    lanes.scatter(work[:-1], 0, 3, vector, np.ones(100, work.dtype), 0, 2)


def no_room_to_scatter(samples, index, work, vector):
    lanes.scatter(work, 0, 3, vector, np.ones(5, work.dtype), 0, 2)


def no_room_for_one_hot(samples, index, work, vector):
    nothing = NOTHING[str(work.dtype)]
    lanes.one_hot(nothing, nothing, work[:-1], operation(0, 1, 2), 0, 0, 1, vector)


@only_checked
@both_dtypes
@pytest.mark.parametrize("misuse", [
    last_sample_is_cut, no_such_sample, negative_sample, no_room_to_gather, no_room_for_panels, no_values_to_scatter,
    no_room_to_scatter, no_room_for_one_hot,
], ids=lambda f: f.__name__)  # fmt: skip
def test_transpose_beyond_the_end(misuse, dtype):
    vector = host.tile(dtype).vector
    samples, index, work = np.ones(4 * 3, dtype), np.array([0, 3, 1]), np.ones(3 * vector, dtype)
    lanes.gather(samples, 3, index, 0, 3, work, 0, vector, vector)  # fits exactly
    with pytest.raises(IndexError, match="past the end of an array"):
        misuse(samples, index, work, vector)


# -- views ----------------------------------------------------------------------------------


@kernel
def fill(array, start, rows, columns):
    part = grid(array, start, rows, columns)
    for i in range(rows):
        for j in range(columns):
            part[i, j] = 10 * i + j
    row = view(array, start, columns)
    row[0] += 100


@both_dtypes
def test_views_borrow_their_memory(dtype):
    array = canaries(20, dtype)
    fill(array, 3, 2, 4)
    np.testing.assert_array_equal(array, [*[CANARY] * 3, 100, 1, 2, 3, 10, 11, 12, 13, *[CANARY] * 9])


@pytest.mark.skipif(not (config.BOUNDSCHECK or config.DISABLE_JIT), reason="compiled views are not checked otherwise")
@pytest.mark.parametrize(("start", "rows"), [(-1, 2), (13, 2), (1, 5)])
def test_view_beyond_the_end(start, rows):
    array = np.zeros(20)
    fill(array, 12, 2, 4)
    with pytest.raises(IndexError, match="past the end of an array"):
        fill(array, start, rows, 4)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_aligned(size):
    for dtype in DTYPES:
        buffer = aligned(size, dtype)
        assert (buffer.size, buffer.dtype) == (size, dtype)
        assert buffer.ctypes.data % 64 == 0
        np.testing.assert_array_equal(buffer, 0)


def test_tile_fits_the_registers():
    for dtype in DTYPES:
        tile = host.tile(dtype)
        assert tile.lanes == tile.vector * tile.vectors
        assert tile.vector * np.dtype(dtype).itemsize in (16, 32, 64)
        registers = 32 if tile.vector * np.dtype(dtype).itemsize == 64 or "neon" in host.features() else 16
        assert tile.height * tile.vectors + tile.vectors + 1 <= registers
