"""Where models are trained: what is there, and what the user chooses."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet.checks import positive_int

NAMES = ("cpu", "cuda", "auto")
PATHS = ("fused", "direct", "gemm")
DLPACK = (2, 13)  # kDLCUDA, kDLCUDAManaged
INSTALL = "pip install 'numbanet[cuda]'"


@dataclass(frozen=True)
class CUDA:
    """An NVIDIA card as a device, and how to use it; "cuda" leaves everything to the size of the model.

    Parameters
    ----------
    path : {"fused", "direct", "gemm"}, optional
        "fused": each block of threads takes samples of its own through the whole network. "direct": all threads work
        on each layer of the whole batch. "gemm": so they do, but cuBLAS multiplies the matrices of dense layers, which
        takes CuPy. By default small dense networks are fused, wide ones with large batches go to cuBLAS if CuPy and
        cuBLAS are installed, and all others are direct.
    blocks, threads : int, optional
        Blocks of a launch, and threads of a block.
    lanes : int, optional
        Samples that a block of threads takes at a time.
    samples : {"float16"}, optional
        How samples are kept on the card, of which twice as many fit and are loaded in the same time; they are rounded
        to 11 bits, and everything is computed in the trainer's dtype. By default in that dtype.

    Raises
    ------
    ValueError, TypeError
        If a value can't be used.
    """

    path: str | None = None
    blocks: int | None = None
    threads: int | None = None
    lanes: int | None = None
    samples: str | None = None

    def __post_init__(self) -> None:
        if self.path is not None and self.path not in PATHS:
            raise ValueError(f"path must be one of {', '.join(PATHS)}; got {self.path!r}")
        if self.samples not in (None, "float16"):
            raise ValueError(f"samples must be 'float16' or None, got {self.samples!r}")
        for name in ("blocks", "threads", "lanes"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, positive_int(name, getattr(self, name)))
        if (self.threads or 1) > 1024:
            raise ValueError(f"threads must be at most 1,024, got {self.threads}")


@dataclass(frozen=True)
class Device:
    """A place to train.

    Attributes
    ----------
    name : str
        "cpu" or "cuda", as trainers take it.
    description : str
        What it is.
    problem : str
        Why it can't be used, or nothing.
    """

    name: str
    description: str
    problem: str = ""

    @property
    def usable(self) -> bool:
        """Whether models can be trained there."""
        return not self.problem


def available_threads() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def devices() -> list[Device]:
    """What there is to train on, and why a GPU can't be used where it can't.

    Returns
    -------
    list of Device
        The CPU, then the GPU.
    """
    from numbanet.cpu.host import features

    wide = next((name for name in ("avx512f", "avx2", "avx", "sse2", "neon") if name in features()), "scalar")
    problem = why_not_cuda()
    card = ""
    if not problem:
        from numbanet.cuda import target

        card = target.description()
    return [Device("cpu", f"{available_threads()} cores, {wide}"), Device("cuda", card, problem)]


def on_gpu(array: Any) -> bool:
    """Whether an array is in a GPU's memory.

    Parameters
    ----------
    array : object
        Anything.

    Returns
    -------
    bool
        By its type: an array of Numba, ``__cuda_array_interface__`` or DLPack.
    """
    if hasattr(type(array), "copy_to_host") or hasattr(array, "__cuda_array_interface__"):
        return True
    place = getattr(array, "__dlpack_device__", None)
    return place is not None and not isinstance(array, np.ndarray) and place()[0] in DLPACK


def has_numba_cuda() -> bool:
    """Whether kernels for a GPU can be compiled, or CUDA is simulated."""
    from numba import config

    return bool(config.ENABLE_CUDASIM) or importlib.util.find_spec("numba_cuda") is not None


def why_not_cuda() -> str:
    """Why the GPU can't be used, or nothing.

    Returns
    -------
    str
        What is missing, and what to do.
    """
    from numba import config

    if not has_numba_cuda():
        return f"numba-cuda is not installed: {INSTALL}"
    if config.DISABLE_JIT:
        return "NUMBA_DISABLE_JIT is set, under which nothing is compiled"
    from numbanet.cuda import target

    return target.why_not()


def chosen(device: Any) -> CUDA | None:
    """How to use the card, or None where the CPU is to be used.

    Parameters
    ----------
    device : str or CUDA
        "cpu", "cuda", "auto", which is the GPU if it can be used, or a `CUDA`.

    Returns
    -------
    CUDA or None
        The choice.

    Raises
    ------
    ValueError
        If there is no such device.
    RuntimeError
        If the GPU is wanted and can't be used.
    """
    if not isinstance(device, CUDA) and device not in NAMES:
        hint = ": CUDA_VISIBLE_DEVICES says which card that is" if str(device).startswith("cuda:") else ""
        raise ValueError(f"device must be one of {', '.join(NAMES)}, or nn.CUDA(...); got {device!r}{hint}")
    if device == "cpu":
        return None
    problem = why_not_cuda()
    if problem and device == "auto":
        return None
    if not problem and isinstance(device, CUDA) and device.path == "gemm":
        from numbanet.cuda import blas

        problem = blas.why_not()
    if problem:
        raise RuntimeError(f"device={device!r} can't be used: {problem}")
    return device if isinstance(device, CUDA) else CUDA()
