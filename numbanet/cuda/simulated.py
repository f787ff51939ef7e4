"""What kernels call, in Python: a thread of Python's for each of the device's, on NumPy's arrays.

Numba's simulator runs one block of threads after the other, so that they can't wait for one another; here all run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

SHARED = 1 << 16  # bytes that a block shares
_lock = threading.Lock()


class Thread(threading.Thread):
    """One thread of a launch.

    Parameters
    ----------
    launch : Launch
        What it belongs to.
    block, thread : int
        Which one it is.
    """

    def __init__(self, launch: Launch, block: int, thread: int) -> None:
        super().__init__(daemon=True)
        self.launch, self.block, self.thread = launch, block, thread

    def run(self) -> None:
        """Call the kernel; what it raises stops the others."""
        try:
            with np.errstate(all="ignore"):  # numbers wrap and overflow silently, as compiled
                self.launch.function(*self.launch.arguments)
        except threading.BrokenBarrierError:
            pass
        except BaseException as error:
            self.launch.errors.append(error)
            for barrier in (self.launch.everyone, *self.launch.barriers):
                barrier.abort()


class Launch:
    """All threads of a kernel.

    Parameters
    ----------
    function : callable
        The kernel.
    blocks, threads : int
        Blocks, and threads of each.
    arguments : list
        Of the kernel.
    """

    def __init__(self, function: Callable[..., Any], blocks: int, threads: int, arguments: list[Any]) -> None:
        self.function, self.blocks, self.threads = function, blocks, threads
        self.arguments = [getattr(a, "_ary", a) for a in arguments]
        self.everyone = threading.Barrier(blocks * threads)
        self.barriers = [threading.Barrier(threads) for _ in range(blocks)]
        self.memory: dict[Any, np.ndarray] = {}
        self.errors: list[BaseException] = []

    def run(self) -> None:
        """Run them all to their ends."""
        team = [Thread(self, b, t) for b in range(self.blocks) for t in range(self.threads)]
        for member in team:
            member.start()
        for member in team:
            member.join()
        if self.errors:
            raise self.errors[0]


def _own() -> Any:
    return threading.current_thread()


def array(pointer, size):
    """What is given for an address, of which at least so much is there."""
    return view(pointer, 0, pointer.size if size == 0 else size)


def view(array, start, size):
    """``array[start : start + size]`` of an array of one axis."""
    if not 0 <= start <= start + size <= array.size:
        raise IndexError("a kernel reaches past the end of an array")
    return array[start : start + size]


def grid(array, start, rows, columns):
    """`view` as a matrix."""
    part = view(array, start, rows * columns)
    step = array.strides[0]
    return np.lib.stride_tricks.as_strided(part, (rows, columns), (columns * step, step))


def get(array, place):
    """``array[place]``."""
    return array[_inside(array, place)]


def put(array, place, value):
    """``array[place] = value``."""
    array[_inside(array, place)] = value


def _inside(array: np.ndarray, place: int) -> int:
    if not 0 <= place < array.size:
        raise IndexError("a kernel reaches past the end of an array")
    return place


def lane(array, start, pitch):
    """Every element that is ``pitch`` from the one before, from ``start`` on."""
    return array[start::pitch]


def fresh(number):
    """The same number."""
    return number


def words(array, start, lanes):
    """The first word of an element, as an array of one."""
    return array[start : start + 1].copy().view(np.uint32)[:1]


def put_word(array, place, word):
    """Store a word where an element begins."""
    array[place : place + 1].view(np.uint32)[0] = word


def thread() -> int:
    """Number of the thread in its block."""
    return int(_own().thread)


def threads() -> int:
    """Threads of a block."""
    return int(_own().launch.threads)


def block() -> int:
    """Number of the block in the grid."""
    return int(_own().block)


def blocks() -> int:
    """Blocks of the grid."""
    return int(_own().launch.blocks)


def meet_block() -> None:
    """Wait for the threads of the block."""
    _own().launch.barriers[block()].wait()


def meet_grid() -> None:
    """Wait for all threads."""
    _own().launch.everyone.wait()


def _memory(kind: str, size: int, dtype: Any) -> np.ndarray:
    """Memory of the block."""
    with _lock:
        return _own().launch.memory.setdefault((kind, block()), np.zeros(size, dtype))


def shared(dtype):
    """Memory of the block, as much as a launch may ask for."""
    return _memory("shared", SHARED // np.dtype(dtype).itemsize, dtype)


def sums():
    """Memory of the block for a number of each of up to 1,024 threads, in float64."""
    return _memory("sums", 1024, np.float64)


def atomic_max(array, place, value):
    """Let an integer be at least a value."""
    with _lock:
        array[place] = max(array[place], value)
