"""A team of workers that stay inside one compiled call and meet at an atomic barrier."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from numbanet.cpu.jit import inline
from numbanet.cpu.memory import I32

# places in the array that a team shares, each in a cache line of its own
ARRIVALS, ABORT, PHASE = 0, 8, 16
SPINS = 20_000  # about 50 us; then the core is offered to others


def meeting(workers: int) -> np.ndarray:
    """Array through which a team meets."""
    return np.zeros(PHASE + 8 * workers, np.int64)


if config.DISABLE_JIT:
    _lock = threading.Lock()

    def atomic_add(array, place, value):  # type: ignore[no-untyped-def]
        """Add to an element, visible to all threads."""
        with _lock:
            array[place] += value

    def atomic_load(array, place):  # type: ignore[no-untyped-def]
        """Read an element that other threads write."""
        return array[place]

    def atomic_swap(array, place, value):  # type: ignore[no-untyped-def]
        """Write an element that other threads write; returns what it was."""
        with _lock:
            before = array[place]
            array[place] = value
            return before

    def give_way():  # type: ignore[no-untyped-def]
        """Let another thread have this core."""
        time.sleep(0)

else:

    @intrinsic
    def atomic_add(typing, array, place, value):  # type: ignore[no-untyped-def,misc]
        """Add to an element, visible to all threads."""

        def codegen(context, builder, sig, args):
            data = context.make_array(sig.args[0])(context, builder, args[0]).data
            builder.atomic_rmw("add", builder.gep(data, [args[1]]), args[2], "acq_rel")
            return context.get_dummy_value()

        return types.void(array, types.intp, types.int64), codegen

    @intrinsic
    def atomic_load(typing, array, place):  # type: ignore[no-untyped-def,misc]
        """Read an element that other threads write."""

        def codegen(context, builder, sig, args):
            data = context.make_array(sig.args[0])(context, builder, args[0]).data
            return builder.load_atomic(builder.gep(data, [args[1]]), "acquire", 8)

        return types.int64(array, types.intp), codegen

    @intrinsic
    def atomic_swap(typing, array, place, value):  # type: ignore[no-untyped-def,misc]
        """Write an element that other threads write; returns what it was."""

        def codegen(context, builder, sig, args):
            data = context.make_array(sig.args[0])(context, builder, args[0]).data
            return builder.atomic_rmw("xchg", builder.gep(data, [args[1]]), args[2], "acq_rel")

        return types.int64(array, types.intp, types.int64), codegen

    @intrinsic
    def give_way(typing):  # type: ignore[no-untyped-def,misc]
        """Let another thread have this core."""

        def codegen(context, builder, sig, args):
            name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"
            builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(I32, []), name), [])
            return context.get_dummy_value()

        return types.void(), codegen


@inline
def barrier(meeting, worker, workers):
    """Wait until every worker of the team is here; raise if one has failed."""
    if workers > 1:
        mine = PHASE + 8 * worker
        meeting[mine] += workers
        atomic_add(meeting, ARRIVALS, 1)
        spins = 0
        while atomic_load(meeting, ARRIVALS) < meeting[mine]:
            spins += 1
            if spins > SPINS:
                if atomic_load(meeting, ABORT) > 0:
                    raise RuntimeError("another worker failed")
                give_way()


def run_team(workers: int, work: Callable[[int], int], meeting: np.ndarray) -> int:
    """Run ``work(worker)`` on as many threads, this one among them; return what worker 0 returns.

    Raises
    ------
    Exception
        The first that a worker raised, after all have stopped.
    """
    failures: list[BaseException] = []

    def guarded(worker: int) -> int:
        try:
            return work(worker)
        except BaseException as error:
            failures.append(error)
            meeting[ABORT] = 1
            return -1

    if workers == 1:
        return work(0)
    team = [threading.Thread(target=guarded, args=(i,), daemon=True) for i in range(1, workers)]
    started = []
    try:
        for thread in team:
            thread.start()
            started.append(thread)
        result = guarded(0)
    except BaseException:  # a thread that can't start: those that wait for it must not wait for ever
        meeting[ABORT] = 1
        raise
    finally:
        for thread in started:
            thread.join()
    if failures:
        raise failures[0]
    return result
