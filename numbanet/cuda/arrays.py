"""Arrays that are on the device already, the user's or this package's."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import Any

import numpy as np

from numbanet.cuda import target
from numbanet.cuda.intrinsics import array, block, blocks, thread, threads

EXACT = 2048  # the whole numbers up to here are float16s


class OnDevice:
    """Samples on the device, as engines take them.

    Parameters
    ----------
    array : object
        With ``__cuda_array_interface__`` or ``__dlpack__``, or one of Numba's.
    """

    def __init__(self, array: Any) -> None:
        self.array = target.borrow(array)
        self.shape = tuple(self.array.shape)
        self.dtype = np.dtype(self.array.dtype)
        self.size, self.ndim = int(np.prod(self.shape)), len(self.shape)
        self.flat = self.array.reshape(-1) if target.is_contiguous(self.array) else None

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Copies of some rows on the host."""
        return self.host()[rows]

    def host(self) -> np.ndarray:
        """A copy on the host."""
        return np.asarray(self.array.copy_to_host())

    def finite(self) -> bool:
        """Whether all numbers are."""
        found = target.send(np.ones(1, np.int32))
        blocks = 1 if target.SIMULATED else 4 * target.processors()
        count = target.send(np.array([self.size]))
        _finite(str(self.dtype)).prepare(blocks, 0, (self.flat, found, count))()
        return bool(target.fetch(found, 1)[0])


def rounded(samples: np.ndarray, vocabulary: int) -> np.ndarray:
    """Samples as float16.

    Parameters
    ----------
    samples : ndarray
        Finite numbers.
    vocabulary : int
        Of indices that a model embeds, or 0.

    Returns
    -------
    ndarray of float16
        The nearest ones.

    Raises
    ------
    ValueError
        If a number is too large for it, or one of the indices may be.
    """
    if vocabulary > 1 + EXACT:
        raise ValueError(f"float16 has no room for the model's {vocabulary:,} indices, but for {1 + EXACT:,}: leave "
                         "samples=None")  # fmt: skip
    with np.errstate(over="ignore"):
        found = samples.astype(np.float16)
    if not np.isfinite(found).all():
        raise ValueError(f"samples reach {np.abs(samples).max():g}, beyond {np.finfo(np.float16).max:g}, the largest "
                         "float16: scale them, as to a variance of 1, or leave samples=None")  # fmt: skip
    return found


def shared(array: Any, shape: tuple[int, ...]) -> Any:
    """An array of the device as the user gets it: CuPy's, which others read without a copy, or Numba's."""
    view = array.reshape(shape)
    if not target.SIMULATED:
        with contextlib.suppress(ImportError):
            import cupy

            stream = cupy.cuda.get_current_stream()
            if stream.ptr:  # it need not wait for the default stream, on which the kernel is
                done = cupy.cuda.Event(disable_timing=True)
                done.record(cupy.cuda.Stream.null)
                stream.wait_event(done)
            return cupy.asarray(view)
    return view


def output(size: int, dtype: str) -> OnDevice:
    """Memory for an array as the user gets it: of CuPy's pool, which allocates nothing most of the time, or Numba's."""
    if not target.SIMULATED:
        with contextlib.suppress(ImportError):
            import cupy

            with cupy.cuda.Device(target.card()), cupy.cuda.Stream.null:
                return OnDevice(cupy.empty(size, dtype))
    return OnDevice(target.empty(size, dtype))


@cache
def _finite(dtype: str) -> target.Kernel:
    def finite(values, found, count):
        numbers, first = array(values, 0), block() * threads() + thread()
        for i in range(first, array(count, 1)[0], blocks() * threads()):
            if not numbers[i] - numbers[i] == 0:
                array(found, 1)[0] = 0

    return target.Kernel(finite, (dtype, "int32", "int64"), 2 if target.SIMULATED else 256)
