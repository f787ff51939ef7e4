"""Matrix products of a library: cuBLAS through CuPy on a card, NumPy in the simulator."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numbanet.cuda import intrinsics, target

LACKS = "path='gemm' multiplies matrices with CuPy and cuBLAS, which are not installed: pip install 'numbanet[cuda]'"


@cache
def why_not() -> str:
    """Why there are no products, or nothing."""
    if target.SIMULATED:
        return ""
    try:
        import cupy.cublas  # noqa: F401  # CuPy comes without cuBLAS
    except ImportError as error:
        return f"{LACKS} ({str(error).split(',')[0]})"
    return ""


class Products:
    """Products of matrices that are parts of flat buffers on the device.

    Kernels are launched on Numba's default stream, the legacy default stream, and products on CuPy's null stream, the
    same one: each begins when what was launched before it has ended. (Were Numba's the default stream of the thread,
    the legacy stream would wait for it, and it for the legacy stream.) float32 is multiplied as float32, for
    ``sgemm`` rounds to TF32 only on a handle that has been told to, and CuPy's is not.
    """

    def __init__(self) -> None:
        self._library: Any = None
        if not target.SIMULATED:
            import cupy.cublas

            self._library = cupy

    def matrix(self, buffer: Any, start: int, rows: int, columns: int) -> Any:
        """A view of a part of a buffer."""
        if self._library is None:
            return intrinsics.view(getattr(buffer, "_ary", buffer), start, rows * columns).reshape(rows, columns)
        with self._library.cuda.Device(target.card()):
            return self._library.asarray(buffer)[start : start + rows * columns].reshape(rows, columns)

    def multiply(self, products: list[tuple[str, Any, str, Any, Any]]) -> None:
        """For each ``C = op(A) op(B)``, where an ``op`` is "N", nothing, or "T", transposition."""
        if self._library is None:
            for left, a, right, b, c in products:
                with np.errstate(all="ignore"):
                    np.matmul(a.T if left == "T" else a, b.T if right == "T" else b, out=c)
            return
        with self._library.cuda.Device(target.card()), self._library.cuda.Stream.null:
            for left, a, right, b, c in products:
                self._library.cublas.gemm(left, right, a, b, out=c)  # copies nothing that is contiguous
