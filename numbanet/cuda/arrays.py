"""Arrays that are on the device already, the user's or this package's."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from numbanet.cuda import target


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
        target.launch(_finite(), 64, 2 if target.SIMULATED else 256, 0, [self.flat, found])
        return bool(target.fetch(found, 1)[0])


def shared(array: Any, shape: tuple[int, ...]) -> Any:
    """An array of the device as the user gets it: CuPy's, which others read without a copy, or Numba's."""
    view = array.reshape(shape)
    if not target.SIMULATED:
        with contextlib.suppress(ImportError):
            import cupy

            return cupy.asarray(view)
    return view


_KERNELS: dict[str, Any] = {}


def _finite() -> Any:
    if not _KERNELS:

        def finite(values, found):  # type: ignore[no-untyped-def]
            for i in range(target.block() * target.threads() + target.thread(), values.size,
                           target.blocks() * target.threads()):  # fmt: skip
                if not values[i] - values[i] == 0:
                    found[0] = 0

        _KERNELS["finite"] = target.kernel(finite, 256)
    return _KERNELS["finite"]
