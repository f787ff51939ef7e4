"""A network as a function for the user's own CUDA kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numbanet.cpu.program import Program, Scales
from numbanet.cpu.rebind import rebind
from numbanet.device import INSTALL, has_numba_cuda
from numbanet.export.compiled import scalings

if TYPE_CHECKING:
    from numbanet.model import Sequential

LOCAL = 1 << 19  # bytes of local memory that CUDA gives a thread at most


def to_cuda_device(model: Sequential, *, inputs: Any = None, outputs: Any = None) -> Any:
    """A device function of a network, for one sample a thread.

    Parameters
    ----------
    model : Sequential
        Built; its kernels and formulas, plugins among them, are compiled for the device from the same source.
    inputs, outputs : Scaling, (mean, scale) or fitted StandardScaler, optional
        As `to_njit` takes them.

    Returns
    -------
    device function of (params, x, out)
        To be called in ``@cuda.jit`` kernels, with arrays of one axis: the weights, as ``model.parameters`` has them,
        a sample, and where its outputs go. Nothing is checked there: what is not finite goes through, and arrays
        must have the right sizes.

    Raises
    ------
    ImportError
        If numba-cuda is not installed, nor CUDA simulated.
    ValueError
        If a sample's values don't fit into a thread's local memory of 512 KiB, the model's input shape is not known
        yet, or a scaling does not fit.
    """
    if not has_numba_cuda():
        raise ImportError(f"functions for CUDA need numba-cuda: {INSTALL}")
    from numbanet.cuda import intrinsics, target
    from numbanet.cuda.bind import on_the_device

    graph = model.graph
    program = Program(graph, model.dtype, scales=Scales(*scalings(graph, inputs, outputs)))
    size = program.rows * np.dtype(model.dtype).itemsize
    if size > LOCAL:
        raise ValueError(f"the values of one sample take {size:,} bytes; a thread has at most {LOCAL:,}")
    names = {"hyper": np.array(program.hyper or [0.0], model.dtype), **intrinsics.names(model.dtype)}
    text = f"""def predict(params, x, out):
    work = cuda.local.array({program.rows}, T)
    for i in range({graph.input.size}):
        work[{program.place(graph.input)} + i] = x[i]
"""
    known: dict[Any, Any] = {}
    for k, kernel in enumerate(program.passes.kernels):
        names[f"kernel{k}"] = rebind(kernel, on_the_device, target.exported, known, every=True)
        names[f"op{k}"] = np.array(program.integers(k), np.int64)
        text += f"    kernel{k}(params, hyper, work, op{k}, 0, {program.rows}, 1, 1)\n"
    text += f"""    for i in range({graph.output.size}):
        out[i] = work[{program.output_row} + i]
"""
    exec(text, names)
    return target.exported(names["predict"])

