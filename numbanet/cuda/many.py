"""Many networks in one launch: each is trained by a block of threads, as it would be alone by one block.

Networks whose kernels have the same text share a launch. They differ in what lies in memory: weights, states, the
parameters of formulas, learning rates, order, and the samples they learn from. The threads of a block wait for one
another only, so a network that ends early, as by a loss that is no longer finite, keeps nobody.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from numbanet._turns import Request
from numbanet.cpu.runner import NO_FLOATS
from numbanet.cuda import intrinsics, target
from numbanet.cuda.arrays import OnDevice
from numbanet.cuda.flat import COLUMNS, FIELDS, PARTS, Flat, Samples
from numbanet.cuda.launch import Launch, kept, text_of
from numbanet.cuda.runner import trained
from numbanet.cuda.shape import FAR, Shape, lanes_near, shape_of

RUNNING = 256  # threads of a multiprocessor at a time, as many as have 255 registers each
WARP = 32
SHARE = 0.5  # of the free memory, for the networks of one launch
ENTRY = """
{head}
    one = block()
    at = one * {columns}
    values = {values}
    scores = {sums}
    place = Place(thread(), threads(), 0, 1, thread(), threads(), {base})
    memory = Memory(
        view(params, one * {params}, {params}), view(grads, one * {grads}, {grads}),
        view(states, one * {states}, {states}), view(hyper, one * {hyper}, {hyper}), values, {table},
        view(backup, one * {backup}, {backup})
    )
    data = Data({inputs}, {targets}, {weights}, {outputs}, {order}, partial, {results}, scores)
    plan = Plan({plan})
    train(place, plan, memory, data, {clip!r})
"""


class ManyLaunch(Launch):
    """A kernel whose blocks of threads each have a network.

    Parameters
    ----------
    request : Request
        Of one of the networks.
    shape : Shape
        Of one block.
    """

    def __init__(self, request: Request, shape: Shape) -> None:
        program, updates, params = request.program, request.updates, request.runner.graph.size
        trains = trained(request.ops) > 0
        self.sizes = {
            "params": params, "states": request.call.states.size, "hyper": max(len(program.hyper), 1),
            "grads": max(2 * params, updates.scratch) if trains else 0, "backup": params if trains else 0,
        }  # fmt: skip
        super().__init__(program, updates, shape, request.call.clip_norm, request.runner.choice.samples)
        self.work = 0 if shape.near else self.elements

    def entry(self, clip_norm: float) -> str:
        """Text of the kernel."""
        columns = range(FIELDS, COLUMNS, 2)
        parts = {
            name: f"view({name}, numbers[at + {i}], numbers[at + {i + 1}])"
            for name, i in zip(PARTS, columns, strict=True)
        }
        return ENTRY.format(
            head=self.head(0), columns=COLUMNS, clip=clip_norm, sums=intrinsics.SUMS,
            values=intrinsics.SHARED if self.shape.near else "work",
            base="0" if self.shape.near else f"one * {self.elements}",
            plan=self.plan("at + "), **self.sizes, **parts,
        )  # fmt: skip


def shape_of_one(request: Request) -> Shape | None:
    """How one block would share the work, or None where a network takes more than a block."""
    program, choice = request.program, request.runner.choice
    if choice.path == "direct" or (choice.blocks or 1) > 1 or len(program.stages) > 2:
        return None
    batch = min(request.call.batch, len(request.call.inputs))
    alone = shape_of(choice, program, batch, True)
    if alone.together:
        return None
    near = lanes_near(program)
    lanes = choice.lanes or next((n for n in reversed(near) if n >= batch), near[0] if near else FAR[0])
    itemsize, threads = np.dtype(program.dtype).itemsize, choice.threads
    if threads is None:  # small networks are many on a multiprocessor, and wait little for their own threads
        most = target.shared_bytes() // (target.SUMS + (program.rows * lanes + program.tail) * itemsize)
        threads = max(WARP, RUNNING // max(1, most) // WARP * WARP)
    return Shape(False, 1, threads, lanes, 1, lanes in near)


class Together:
    """Answers requests of many networks, in as few launches as it can.

    Attributes
    ----------
    seconds : float
        That launches have taken.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._limit = int(target.free_bytes() * SHARE)
        self._keys: dict[Any, tuple[Any, Any]] = {}  # a program, which is kept for its id, and the key
        self._buffers: dict[tuple[str, str], Any] = {}
        self._samples = Samples(self._limit // 2)

    def answers(self, requests: Iterable[Request]) -> list[Any]:
        """What each asked for, or the exception that came of it."""
        requests = list(requests)
        found: list[Any] = [None] * len(requests)
        groups: dict[Any, list[int]] = {}
        for i, request in enumerate(requests):
            groups.setdefault(self.key(request), []).append(i)
        began = time.perf_counter()
        for key, members in groups.items():
            for chunk in [[i] for i in members] if key is None else self._chunks(requests, members, key[0]):
                own = [requests[i] for i in chunk]
                try:
                    answers = [own[0].answer()] if key is None else self._launch(own, key)
                except Exception as error:
                    answers = [error] * len(own)
                for i, answer in zip(chunk, answers, strict=True):
                    found[i] = answer
        self.seconds += time.perf_counter() - began
        return found

    def key(self, request: Request) -> Any:
        """Equal for requests that one launch can answer; None for those that are answered alone."""
        call, program, trains = request.call, request.program, trained(request.ops)
        if isinstance(call.inputs, OnDevice):
            return None
        samples = request.runner.choice.samples
        own = id(program), min(call.batch, len(call.inputs)), call.clip_norm, trains, samples
        if own not in self._keys:
            how = shape_of_one(request)
            self._keys[own] = program, None if how is None else (
                how, call.clip_norm, trains, samples, call.states.size, text_of(program, request.updates)
            )
        return self._keys[own][1]

    def _chunks(self, requests: list[Request], members: list[int], how: Shape) -> list[list[int]]:
        """Members of a group, split where their memory would be too much for a launch."""
        chunks: list[list[int]] = []
        seen: set[bytes] = set()
        used = self._limit
        for i in members:
            call = requests[i].call
            own = {self._samples.key(a): a.nbytes for a in (call.inputs, call.targets, call.weights) if a is not None}
            plain = _bytes(requests[i], how)
            new = plain + sum(size for key, size in own.items() if key not in seen)
            if used + new > self._limit:
                chunks.append([])
                used, seen, new = 0, set(), plain + sum(own.values())
            used, seen = used + new, seen | set(own)
            chunks[-1].append(i)
        return chunks

    def _launch(self, requests: list[Request], key: Any) -> list[Any]:
        """Answers of one launch."""
        launch = kept((ManyLaunch, key), lambda: ManyLaunch(requests[0], key[0]))
        flat = Flat(requests, launch)
        arrays, sizes, count = self._arrays(launch, flat), launch.sizes, len(requests)
        launch.prepare(count, arrays)()
        results = flat.parts(arrays, "results")
        outputs = flat.parts(arrays, "outputs")
        tables = flat.parts(arrays, "table") if flat.spread else []
        after = {
            name: target.fetch(arrays[name], count * sizes[name]).reshape(count, -1)
            for name in ("params", "states", "backup") if sizes["backup"]
        }  # fmt: skip
        for i, (request, call) in enumerate(zip(requests, flat.calls, strict=True)):
            if after:
                call.params[:], call.states[:] = after["params"][i], after["states"][i]
                request.runner.buffers["backup"] = after["backup"][i]
                if results[i][-1] >= 0 or not np.isfinite(call.params).all():  # the order will say where it began
                    first, size = flat.column("order")[i][0], len(call.inputs)
                    request.runner.order = target.fetch(arrays["order"][first:], size).astype(np.int64)
            if call.outputs is not None:
                call.outputs[:] = outputs[i].reshape(call.outputs.shape)
            if call.spread:
                call.table[:] = tables[i].reshape(call.table.shape)
        return [(part[:-1], int(part[-1])) for part in results]

    def _arrays(self, launch: ManyLaunch, flat: Flat) -> dict[str, Any]:
        """What a launch takes, on the device."""
        calls, dtype, count = flat.calls, launch.dtype, len(flat.calls)
        arrays = {
            "table": target.send(flat.put("table", [c.table.reshape(-1) for c in calls])),
            "params": target.send(np.stack([c.params for c in calls])),
            "states": target.send(np.stack([c.states for c in calls])),
            "hyper": target.send(np.array([r.program.hyper or [0.0] for r in flat.requests], dtype)),
        }
        none = NO_FLOATS[dtype]
        runner = flat.requests[0].runner
        for name, own in (
            ("inputs", [c.inputs for c in calls]), ("targets", [c.targets for c in calls]),
            ("weights", [none if c.weights is None else c.weights for c in calls]),
        ):  # fmt: skip
            half = name == "inputs" and runner.choice.samples is not None
            arrays[name], starts = self._samples.on_device(own, half, runner.graph.vocabulary)
            flat.place(name, [a.size for a in own], starts)
        for name, sizes, kind in (
            ("outputs", [0 if c.outputs is None else c.outputs.size for c in calls], dtype),
            ("order", [3 * len(c.inputs) for c in calls], "int32"),
            ("results", [c.epochs + 1 for c in calls], "float64"),
        ):
            flat.place(name, sizes)
            arrays[name] = self._buffer(name, sum(sizes), kind)
        for name in ("grads", "backup"):
            arrays[name] = self._buffer(name, count * launch.sizes[name], dtype)
        arrays["work"] = self._buffer("work", count * launch.work, dtype)
        arrays["partial"] = self._buffer("partial", 0, "float64")
        arrays["numbers"] = target.send(flat.numbers)
        return arrays

    def _buffer(self, name: str, size: int, dtype: str) -> Any:
        """Memory of the device that is used again by the next launch."""
        known = self._buffers.get((name, dtype))
        if known is None or known.size < max(size, 1):
            self._buffers.pop((name, dtype), None)
            self._buffers[name, dtype] = target.empty(max(size, 1), dtype)
        return self._buffers[name, dtype]


def _bytes(request: Request, how: Shape) -> int:
    """Memory that a network takes beside its samples, at most."""
    call, program, graph = request.call, request.program, request.runner.graph
    floats = 4 * graph.size + request.updates.scratch + call.states.size + len(program.hyper) + call.table.size
    floats += 0 if call.outputs is None else call.outputs.size
    floats += 0 if how.near else program.rows * how.lanes + program.tail
    return int(floats * np.dtype(program.dtype).itemsize + 12 * len(call.inputs) + 8 * (call.epochs + 1 + COLUMNS))
