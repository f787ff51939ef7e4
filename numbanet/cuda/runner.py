"""Calls of the kernels: how the work is shared, and what is on the device."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from numbanet.cpu.plan import Operations
from numbanet.cpu.runner import Call
from numbanet.cpu.update_program import UpdateProgram
from numbanet.cuda import target
from numbanet.cuda.arrays import OnDevice, rounded
from numbanet.cuda.driver import Plan
from numbanet.cuda.gemm import Gemm
from numbanet.cuda.launch import Launch, kept, text_of
from numbanet.cuda.program import DeviceProgram
from numbanet.cuda.shape import Shape, shape_of
from numbanet.cuda.steps import LOOP
from numbanet.graph import Graph

EVALUATED = 8192  # samples that a library's products take at a time where nothing is trained


def trained(ops: Operations) -> int:
    """What becomes of gradients: 0 there are none, 1 they are made, 2 and used."""
    return 2 if ops.updates.size else int(ops.gradients.size > 0)


def plan_of(launch: Launch | Gemm, ops: Operations, call: Call) -> Plan:
    """Integers of a launch."""
    samples = len(call.inputs)
    batch = min(call.batch, samples)
    changing = dict(
        samples=samples, batch=batch, epochs=call.epochs, epoch=call.epoch, first=call.first, seed=call.seed,
        shuffle=int(call.shuffle and batch < samples), coefficients=call.table.shape[-1], spread=int(call.spread),
        trains=trained(ops), penalized=int(ops.penalties.size > 0), weighted=int(call.weights is not None),
        keeps=int(call.outputs is not None),
    )  # fmt: skip
    return Plan(**{**changing, **launch.known})


class DeviceRunner:
    """Launches a model's kernels, and keeps its buffers on the device from launch to launch.

    Parameters
    ----------
    graph : Graph
        The model.
    dtype : str
        Working type.
    choice : CUDA
        How launches share the work.

    Attributes
    ----------
    buffers : dict of str to ndarray
        "grads" and "backup" of the last call, on the host.
    order : ndarray
        Order of the samples in the last epoch.
    """

    threads = 1
    deterministic = True

    def __init__(self, graph: Graph, dtype: str, choice: Any) -> None:
        self.graph, self.dtype, self.choice = graph, dtype, choice
        self.buffers: dict[str, np.ndarray] = {}
        self.order = np.empty(0, np.int64)
        self._launches: dict[Any, Launch | Gemm] = {}
        self._device: dict[str, Any] = {}  # buffers there
        self._copies: dict[str, np.ndarray] = {}  # of what is in some of them
        self._sent: dict[int, tuple[np.ndarray, Any]] = {}  # arrays of the user's, and where they are there

    def run(
        self, program: DeviceProgram, updates: UpdateProgram, ops: Operations, call: Call
    ) -> tuple[np.ndarray, int]:
        """Losses of the epochs, and the steps done before one failed, or -1."""
        samples, size = len(call.inputs), self.graph.size
        batch = min(call.batch, samples)
        trains = trained(ops)
        shape = shape_of(self.choice, program, batch, trains > 0)
        if shape.products and not trains and batch > EVALUATED:
            call, shape = replace(call, batch=EVALUATED), replace(shape, lanes=EVALUATED)
        inputs = self._inputs(call.inputs)
        launch = self._launch(program, updates, shape.text, call.clip_norm, str(inputs.dtype))
        outputs, predicts = call.outputs, program.loss is None
        plan = plan_of(launch, ops, call)
        grads = max((shape.slices + 1) * size, updates.scratch) if trains else 0
        work = 0 if shape.near else launch.elements * (1 if shape.together else shape.blocks)
        changes = trains > 1
        params, states = self._put("params", call.params, changes), self._put("states", call.states, changes)
        table = self._put("table", call.table, call.spread)
        loop = np.array([0.0] * call.epochs + [-1.0] + [0.0] * LOOP)
        results = self._put("results", loop, True) if shape.products else self._buffer("results", loop.size, "float64")
        order = self._buffer("order", 3 * samples, "int32")
        launch.run(plan, shape.blocks, dict(
            params=params, grads=self._buffer("grads", grads), states=states,
            hyper=self._put("hyper", np.array(program.hyper or [0.0], self.dtype)), work=self._buffer("work", work),
            table=table, backup=self._buffer("backup", size if trains > 1 else 0),
            inputs=inputs, targets=params if predicts else self._send(call.targets),
            weights=params if call.weights is None else self._send(call.weights), outputs=self._output(outputs),
            order=order, partial=self._buffer("partial", 3 * shape.blocks, "float64"), results=results,
            numbers=self._put("numbers", np.array(plan, np.int64)),
        ))  # fmt: skip
        if predicts:
            return np.empty(0), -1  # there are outputs alone, on the device
        found = target.fetch(results, call.epochs + 1)
        if trains > 1:
            self._get("params", call.params)
            self._get("states", call.states)
            self.buffers["backup"] = target.fetch(self._device["backup"], size)
        elif trains:
            self.buffers["grads"] = target.fetch(self._device["grads"], size)
        if call.spread:
            self._get("table", call.table)
        if outputs is not None:
            outputs[:] = target.fetch(self._device["outputs"], outputs.size).reshape(outputs.shape)
        self.order = target.fetch(order, samples).astype(np.int64)
        return found[:-1], int(found[-1])

    def _launch(
        self, program: DeviceProgram, updates: UpdateProgram, shape: Shape, clip_norm: float, samples: str
    ) -> Launch | Gemm:
        """What has been compiled for the work, by this trainer or by another."""
        key = program, shape, clip_norm, samples
        if key not in self._launches:
            kind = Gemm if shape.products else Launch
            everywhere = kind, text_of(program, updates), shape, clip_norm, samples
            self._launches[key] = kept(everywhere, lambda: kind(program, updates, shape, clip_norm, samples))
        return self._launches[key]

    def _buffer(self, name: str, size: int, dtype: str | None = None) -> Any:
        """A buffer that is kept, and grown when a larger one is needed."""
        if name not in self._device or self._device[name].size < max(size, 1):
            self._device[name] = target.empty(max(size, 1), dtype or self.dtype)
        return self._device[name]

    def _output(self, outputs: Any) -> Any:
        """Where outputs are kept."""
        if isinstance(outputs, OnDevice):
            return outputs.flat
        return self._buffer("outputs", 0 if outputs is None else outputs.size)

    def _put(self, name: str, array: np.ndarray, changes: bool = False) -> Any:
        """A copy there, sent again if it differs; unless it ``changes`` there, it is known not to until then."""
        flat, copy = np.ascontiguousarray(array).reshape(-1), self._copies.pop(name, None)
        bits = f"u{flat.itemsize}"  # those of NaN are equal, too
        if copy is None or not np.array_equal(copy.view(bits), flat.view(bits)):
            copy = flat.copy()
            if name in self._device and self._device[name].size == max(flat.size, 1):
                target.resend(flat, self._device[name])
            else:
                self._device[name] = target.send(flat)
        if not changes:
            self._copies[name] = copy
        return self._device[name]

    def _get(self, name: str, array: np.ndarray) -> None:
        """Copy back what a launch has changed."""
        self._copies[name] = target.fetch(self._device[name], array.size)
        array[:] = self._copies[name].reshape(array.shape)

    def _inputs(self, samples: Any) -> Any:
        """Samples there, as they are kept."""
        if isinstance(samples, OnDevice):
            return samples.flat
        return self._send(samples, self.choice.samples or self.dtype)

    def _send(self, array: np.ndarray, dtype: str | None = None) -> Any:
        """A copy there of what stays the same until `forget`."""
        if id(array) not in self._sent:
            own = array if dtype in (None, self.dtype) else rounded(array, self.graph.vocabulary)
            self._sent[id(array)] = array, target.send(own)
        return self._sent[id(array)][1]

    def forget(self) -> None:
        """Arrays of the user's may have changed."""
        self._sent.clear()
