"""The training loop cut where a library multiplies: what precedes a step's first product, and what follows the last.

The loop's variables lie behind the results, so that every step is the same launches with the same arguments. A step
whose loss is not finite is noted there; what is launched after it changes nothing.
"""

from __future__ import annotations

import math

import numpy as np

from numbanet.cuda.driver import (
    batch_of,
    begin_epoch,
    keep_outputs,
    lane_losses,
    load,
    step_key,
    use_gradients,
)
from numbanet.cuda.intrinsics import view
from numbanet.cuda.slots import T, meet, projections
from numbanet.cuda.sums import block_sum

DONE, LOST, MASS = 1, 2, 3  # after `failed`: steps of this call, and sums over those of the epoch
LOOP = 3  # of them


def load_step(place, plan, memory, data, done):
    """The batch of a step."""
    start, count, _, share = batch_of(place, plan, data, done)
    if plan.spread:
        step = view(memory.table, done * plan.coefficients, plan.coefficients)
        step[plan.coefficients - 1] = T(1.0 / share)  # the same, whichever thread writes it last
    load(place, plan, memory, data, start, 0, count, share, step_key(plan, done))


def begin(place, plan, memory, data):
    """Begin an epoch, and load its first batch."""
    if data.results[plan.epochs] >= 0:
        return
    done = np.int64(data.results[plan.epochs + DONE])
    steps = (plan.samples + plan.batch - 1) // plan.batch
    begin_epoch(place, plan, memory, data, done // steps)
    if place.rank == 0:
        data.results[plan.epochs + LOST] = data.results[plan.epochs + MASS] = 0.0
    load_step(place, plan, memory, data, done)


def finish(place, plan, memory, data, clip_norm):
    """Use the gradients of a step, and load the next batch of the epoch.

    Every block of threads adds up the losses of all lanes, so that all know whether to go on.
    """
    results, epochs, rank = data.results, plan.epochs, place.rank
    if results[epochs] >= 0:
        return
    done = np.int64(results[epochs + DONE])
    steps = (plan.samples + plan.batch - 1) // plan.batch
    start, count, total, _ = batch_of(place, plan, data, done)
    if plan.keeps:
        keep_outputs(place, plan, memory, data, start, 0, count)
    loss = block_sum(place, data, lane_losses(place, plan, memory))
    if not math.isfinite(loss):
        meet()  # all have seen that no step before had failed
        if rank == 0:
            results[done // steps] = loss
            results[epochs] = done
        return
    if plan.trains:
        step = view(memory.table, done * plan.coefficients, plan.coefficients)
        loss += use_gradients(place, plan, memory, data, step, clip_norm)
        if plan.trains > 1:
            projections(rank, place.size, memory.params, memory.grads, memory.states, memory.hyper, step)
    else:
        meet()  # all have read what changes now
    if rank == 0:
        part = float(count) if plan.spread else total
        results[epochs + LOST] += loss * part
        results[epochs + MASS] += part
        results[epochs + DONE] = done + 1
        if (done + 1) % steps == 0:
            results[done // steps] = results[epochs + LOST] / results[epochs + MASS]
    if (done + 1) % steps > 0:
        load_step(place, plan, memory, data, done + 1)
