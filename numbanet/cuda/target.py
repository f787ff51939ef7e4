"""The one place that imports `numba.cuda`: what is there, memory, and launches."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numba import config, cuda, types

from numbanet.cuda import simulated

SIMULATED = bool(config.ENABLE_CUDASIM)
if not SIMULATED:
    from numba.cuda.extending import intrinsic  # noqa: F401
MOST = 1024  # threads of a block
SUMS = 8 * MOST  # bytes in which they add up a number each
PLENTY = (48 << 10) - SUMS  # bytes that a block may share beside them without being allowed to
LEGACY = 1  # the default stream, in arrays' interface
CAPABILITY = 7, 5  # of the oldest card that the toolkit compiles for
_first: list[int] = []  # the process that used the card first


def why_not() -> str:
    """Why no kernel can be launched, or nothing."""
    if SIMULATED:
        return ""
    if _first and _first[0] != os.getpid():
        return "CUDA was in use before this process was forked from another: start processes with the method 'spawn'"
    if not cuda.is_available():
        error = cuda.cuda_error()
        return f"no NVIDIA card with a driver was found{f' ({error})' if error else ''}"
    problem = _too_old()
    if not problem and not _first:
        _first.append(os.getpid())
    return problem


@cache
def _too_old() -> str:
    from numba.cuda.cudadrv.driver import driver

    found = driver.get_version()
    with contextlib.suppress(PackageNotFoundError):  # somebody has installed it in another way
        needed = int(version("cuda-toolkit").split(".")[0])
        if found[0] < needed:
            return f"the driver is of CUDA {found[0]}.{found[1]}; the toolkit that is installed needs one of {needed}.0"
    capability = tuple(cuda.get_current_device().compute_capability)
    if capability < CAPABILITY:
        return f"the card has compute capability {capability[0]}.{capability[1]}; 7.5 at least is needed"
    return ""


def description() -> str:
    """Which card it is."""
    if SIMULATED:
        return "simulated"
    card = cuda.get_current_device()
    name = card.name.decode() if isinstance(card.name, bytes) else card.name
    capability = ".".join(map(str, card.compute_capability))
    return f"{name}, {card.MULTIPROCESSOR_COUNT} multiprocessors, compute capability {capability}"


def send(array: np.ndarray) -> Any:
    """A copy on the device, as one axis."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return cuda.to_device(flat if flat.size else np.zeros(1, flat.dtype))


def resend(array: np.ndarray, there: Any) -> None:
    """Replace a copy."""
    if array.size:
        there.copy_to_device(array)


def empty(size: int, dtype: str) -> Any:
    """Memory of the device."""
    return cuda.device_array(size, dtype)


def fetch(array: Any, size: int) -> np.ndarray:
    """A copy of the first elements."""
    return array[:size].copy_to_host()


def borrow(array: Any) -> Any:
    """One of Numba's arrays for another library's memory on the device, without a copy, and once it is written."""
    if hasattr(type(array), "copy_to_host"):
        return array
    place = getattr(array, "__dlpack_device__", None)
    if place is not None and place()[1] != card():
        raise ValueError(f"the array is on card {place()[1]}, and card {card()} is in use: copy it there, or choose "
                         "the card by CUDA_VISIBLE_DEVICES")  # fmt: skip
    named = getattr(array, "__cuda_array_interface__", {})
    if hasattr(array, "__dlpack__") and "stream" not in named:  # a stream that DLPack waits for, if there is CuPy
        with contextlib.suppress(ImportError):
            import cupy

            array = cupy.from_dlpack(array)
    if not hasattr(array, "__cuda_array_interface__"):
        raise RuntimeError("arrays that have DLPack alone are read through CuPy: pip install 'numbanet[cuda]'")
    stream = array.__cuda_array_interface__.get("stream")
    return cuda.as_cuda_array(array, sync=stream != LEGACY)  # on which kernels are launched


def is_contiguous(array: Any) -> bool:
    """Whether elements lie one behind the other, the last axis the fastest."""
    return bool(array.is_c_contiguous())


def processors() -> int:
    """Blocks of threads that run at the same time for sure."""
    return 2 if SIMULATED else cuda.get_current_device().MULTIPROCESSOR_COUNT


def card() -> int:
    """Number of the card in use."""
    return 0 if SIMULATED else cuda.get_current_device().id


def shared_bytes() -> int:
    """Bytes that a block of threads may share on the chip, beside those for sums."""
    return simulated.SHARED if SIMULATED else cuda.get_current_device().MAX_SHARED_MEMORY_PER_BLOCK_OPTIN - SUMS


def free_bytes() -> int:
    """Memory of the device that nobody uses."""
    return (1 << 30) if SIMULATED else int(cuda.current_context().get_memory_info().free)


class Kernel:
    """A function that can be launched, and that takes the addresses of arrays.

    An address costs a launch a tenth of what an array does.

    Parameters
    ----------
    function : callable
        The kernel.
    kinds : sequence of str
        Types of the arrays' elements.
    threads : int
        Of a block; registers must suffice for so many.
    """

    def __init__(self, function: Callable[..., Any], kinds: Sequence[str], threads: int) -> None:
        self.function, self.kinds, self.threads = function, tuple(kinds), threads
        self._made: Any = None
        self._ready: dict[tuple[int, int, int], Any] = {}

    @property
    def signature(self) -> Any:
        """Numba's."""
        return types.void(*(types.CPointer(getattr(types, kind)) for kind in self.kinds))

    def prepare(self, blocks: int, shared: int, arrays: Sequence[Any]) -> Callable[[], None]:
        """A launch on arrays, to be made as often as is wanted.

        Parameters
        ----------
        blocks : int
            Of threads.
        shared : int
            Bytes that the threads of a block share on the chip.
        arrays : sequence of array
            On the device.

        Returns
        -------
        callable
            Makes it, and does not wait for its end.

        Raises
        ------
        ValueError
            If blocks wait for one another and so many can't run at once.
        """
        if SIMULATED:
            return lambda: simulated.Launch(self.function, blocks, self.threads, list(arrays)).run()
        ready = self._ready.get((blocks, shared, card())) or self._ready_for(blocks, shared)
        addresses = [array.__cuda_array_interface__["data"][0] for array in arrays]
        return lambda: ready(*addresses)


    def _ready_for(self, blocks: int, shared: int) -> Any:
        """Numba's launcher."""
        if self._made is None:
            self._made = cuda.jit(self.signature, launch_bounds=self.threads)(self.function)
        (made,) = self._made.overloads.values()
        if shared > PLENTY:
            from numba.cuda.cudadrv.driver import binding, driver

            attribute = binding.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            driver.cuKernelSetAttribute(attribute, shared, made._codelibrary.get_cufunc().handle, card())
        most = made.max_cooperative_grid_blocks(self.threads, shared) if made.cooperative else blocks
        if blocks > most:
            raise ValueError(f"blocks wait for one another, and {most} at most run at once on this card; got {blocks}: "
                             "leave blocks=None, or give fewer")  # fmt: skip
        with warnings.catch_warnings():  # a few blocks are what a small network takes
            warnings.filterwarnings("ignore", "Grid size")
            self._ready[blocks, shared, card()] = self._made[blocks, self.threads, 0, shared]
        return self._ready[blocks, shared, card()]


def device(function: Callable[..., Any]) -> Any:
    """A function that becomes a part of those that call it, compiled once whatever numbers calls write out.

    Numba would compile it anew for each combination of them, and LLVM needs no such help. What is called instead takes
    its numbers in memory of the thread's own, and does not know where arrays lie.
    """
    if SIMULATED:
        return function
    found = cuda.jit(device=True, forceinline=True)(function)
    template = found.get_call_template

    def of_any_numbers(args: Any, kws: dict[str, Any]) -> Any:
        return template(tuple(map(types.unliteral, args)), {k: types.unliteral(v) for k, v in kws.items()})

    found.get_call_template = of_any_numbers
    return found


def exported(function: Callable[..., Any]) -> Any:
    """A function that users' kernels can call."""
    return cuda.jit(device=True)(function)
