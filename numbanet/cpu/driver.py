"""The training loop, compiled once: it knows blocks, steps and epochs, and no model.

What a model is made of comes as tables of operations: each row holds a kernel's address and its
integers. A batch is cut into blocks of lanes. A worker takes a span of blocks forward and back,
then adds its share of the gradients; the team meets; each worker updates its share of the
parameters; the team meets again.
"""

from __future__ import annotations

import numpy as np

from numbanet.cpu.blocks import add_gradient, passes
from numbanet.cpu.cachelines import claim, want
from numbanet.cpu.jit import inline, invoke, kernel
from numbanet.cpu.memory import view
from numbanet.cpu.plan import WIDTH
from numbanet.cpu.random import mix, shuffle
from numbanet.cpu.threads import barrier

CHUNK = 2048  # parameters updated at a time; partial sums over them don't depend on the workers
NOISE = np.uint64(1)  # parts the seed of noise from the seed of shuffles
FUSED = 8192  # gradients computed before they are used up, while they are in the cache


@inline
def split(count, worker, workers):
    """First and past-the-last of a worker's share."""
    return count * worker // workers, count * (worker + 1) // workers


@inline
def apply(memory, table, step, first, last, at):
    """Run the operations of a table on the parameters ``first`` to ``last``, with gradients from ``at``."""
    for k in range(table.size // WIDTH):
        op = view(table, k * WIDTH, WIDTH)
        lo, hi = max(first, op[2]), min(last, op[3])
        if lo < hi:
            invoke(op[0], memory.params, memory.grads, at + lo - first, memory.states, memory.hyper, op, step, lo, hi)


@inline
def want_parameters(memory, ahead, first, last):
    """Ask for what the update of the parameters ``first`` to ``last`` reads."""
    size = memory.params.size
    want(ahead, memory.params, first, last)
    for start in range(0, memory.states.size, size):
        want(ahead, memory.states, start + first, start + last)


@inline
def update(plan, memory, ops, step, first, last, at):
    """New parameters ``first`` to ``last`` from the gradients at ``at``."""
    if plan.workers > 1:
        claim(memory.params, first, last)
    apply(memory, ops.updates, step, first, last, at)


@inline
def trained(op, first, last):
    """Which parameters from ``first`` to ``last`` an update changes by their gradient; running averages have none."""
    return max(first, op[2]), min(last, op[3]) if op[4] else 0


@inline
def penalty_place(memory, chunk):
    """Where the penalties of a chunk of parameters are: at the end of the gradients."""
    return memory.grads.size - (memory.params.size + CHUNK - 1) // CHUNK + chunk


@inline
def add_penalties(memory, ops, step, chunk, first, last):
    """Penalties of the parameters ``first`` to ``last``."""
    at = penalty_place(memory, chunk)
    memory.grads[at] = 0
    for k in range(ops.penalties.size // WIDTH):
        op = view(ops.penalties, k * WIDTH, WIDTH)
        lo, hi = max(first, op[2]), min(last, op[3])
        if lo < hi:
            invoke(op[0], memory.params, memory.grads, at, memory.states, memory.hyper, op, step, lo, hi)


@inline
def use_gradients(worker, plan, data, memory, ops, meeting, step, accumulators):
    """Reduce, transform and apply the gradients of this worker's share of the parameters."""
    size = memory.params.size
    chunks = (size + CHUNK - 1) // CHUNK
    lo, hi = split(chunks, worker, plan.workers)
    for chunk in range(lo, hi):
        first, last = chunk * CHUNK, min(size, (chunk + 1) * CHUNK)
        g = view(memory.grads, first, last - first)
        for i in range(1, accumulators):
            other = view(memory.grads, i * size + first, last - first)
            for j in range(last - first):
                g[j] += other[j]
        if ops.penalties.size > 0:
            add_penalties(memory, ops, step, chunk, first, last)
        apply(memory, ops.transforms, step, first, last, first)
        if plan.clip_norm > 0:
            total = 0.0
            for k in range(ops.updates.size // WIDTH):
                begin, end = trained(view(ops.updates, k * WIDTH, WIDTH), first, last)
                for j in range(begin, end):
                    total += np.float64(memory.grads[j]) * np.float64(memory.grads[j])
            data.norms[chunk] = total
        else:
            update(plan, memory, ops, step, first, last, first)
    if plan.clip_norm > 0:
        barrier(meeting, worker, plan.workers)
        total = 0.0
        for chunk in range(chunks):
            total += data.norms[chunk]
        scale = min(1.0, plan.clip_norm / np.sqrt(total)) if total > 0 else 1.0
        for chunk in range(lo, hi):
            first, last = chunk * CHUNK, min(size, (chunk + 1) * CHUNK)
            for k in range(ops.updates.size // WIDTH):
                begin, end = trained(view(ops.updates, k * WIDTH, WIDTH), first, last)
                for j in range(begin, end):
                    memory.grads[j] *= scale
            update(plan, memory, ops, step, first, last, first)


@inline
def project(worker, plan, memory, ops, meeting, step):
    """Constrain the weights that enter each unit of this worker's share of the units."""
    for k in range(ops.projections.size // WIDTH):
        barrier(meeting, worker, plan.workers)  # behind the updates, and the projection that used the scratch
        op = view(ops.projections, k * WIDTH, WIDTH)
        lo, hi = split((op[4] + plan.vector - 1) // plan.vector, worker, plan.workers)
        lo, hi = lo * plan.vector, min(op[4], hi * plan.vector)
        if lo < hi:
            invoke(op[0], memory.params, memory.grads, 0, memory.states, memory.hyper, op, step, lo, hi)


@inline
def want_samples(worker, plan, data, ahead, start):
    """Ask for the inputs of the worker's blocks of the step that begins at ``start``."""
    count = min(plan.batch, plan.samples - start)
    lo, hi = split((count + plan.lanes - 1) // plan.lanes, worker, plan.workers)
    for i in range(start + lo * plan.lanes, start + min(count, hi * plan.lanes)):
        row = data.order[i] * plan.features
        want(ahead, data.inputs, row, row + plan.features)


@inline
def fused_update(worker, plan, memory, ops, op, step, count, first, last, ahead):
    """Gradient of a parameter's rows from all blocks, used up while it is in the cache."""
    lo, hi = op[1] + first * op[3], op[1] + last * op[3]
    at = worker * plan.fused
    kept = ahead[0]
    want_parameters(memory, ahead, lo, hi)
    blocks = (count + plan.lanes - 1) // plan.lanes
    add_gradient(plan, memory, memory.grads, at, op, 0, 0, blocks, count, first, last, 0, ahead)
    ahead[0] = min(ahead[0], kept)
    apply(memory, ops.transforms, step, lo, hi, at)
    update(plan, memory, ops, step, lo, hi, at)


@inline
def shared_step(worker, plan, data, memory, ops, meeting, step, start, count, total, key):
    """One step in which the team shares the blocks, then the rows of the gradient; returns the mean loss.

    No sum depends on the number of workers.
    """
    blocks = (count + plan.lanes - 1) // plan.lanes
    ahead = view(data.ahead, worker * plan.ahead, plan.ahead)
    loss = 0.0
    for begin in range(0, blocks, plan.span):
        end = min(begin + plan.span, blocks)
        mine, past = split(end - begin, worker, plan.workers)
        for stage in range(ops.stages.size - 1):
            if mine < past:
                lo, hi = begin + mine, begin + past
                passes(plan, data, memory, ops, stage, mine * plan.stride, lo, lo, hi, start, count, total, key)
            barrier(meeting, worker, plan.workers)
        if plan.target > 0:
            for i in range(begin, end):
                loss += data.losses[i]
        if end == blocks and (ops.gradients.size == 0 or not np.isfinite(loss)):
            return loss
        if plan.fused:
            ahead[0] = 0
            want_samples(worker, plan, data, ahead, start + count)
        for k in range(ops.gradients.size // WIDTH):
            op = view(ops.gradients, k * WIDTH, WIDTH)
            lo, hi = split(op[2], worker, plan.workers)
            if plan.fused:
                rows = max(24, FUSED // op[3])  # whole tiles
                for first in range(lo, hi, rows):
                    last = min(hi, first + rows)
                    fused_update(worker, plan, memory, ops, op, step, count, first, last, ahead)
            elif lo < hi:
                at, adds = op[1] + lo * op[3], int(begin > 0)
                add_gradient(plan, memory, memory.grads, at, op, 0, begin, end, count, lo, hi, adds, ahead)
        if end < blocks:
            barrier(meeting, worker, plan.workers)
    if not plan.fused:
        barrier(meeting, worker, plan.workers)
        use_gradients(worker, plan, data, memory, ops, meeting, step, 1)
    project(worker, plan, memory, ops, meeting, step)
    return loss


@inline
def own_samples(plan, count, worker):
    """First and number of a worker's samples, whole vectors of lanes, and the place of its losses."""
    lo, hi = split((count + plan.vector - 1) // plan.vector, worker, plan.workers)
    first = lo * plan.vector
    return first, min(count, hi * plan.vector) - first, first // plan.lanes + worker


@inline
def private_step(worker, plan, data, memory, ops, meeting, step, start, count, total, key):
    """One step in which each worker goes through its blocks depth first, a span at a time, into a gradient of its own.

    Returns the mean loss.
    """
    size = memory.params.size if ops.gradients.size > 0 else 0
    grads = view(memory.grads, worker * size, size)
    base = worker * plan.span * plan.stride
    first, own, at = own_samples(plan, count, worker)
    blocks = (own + plan.lanes - 1) // plan.lanes
    if blocks == 0:
        grads[:] = 0
    for lo in range(0, blocks, plan.span):
        hi = min(lo + plan.span, blocks)
        passes(plan, data, memory, ops, 0, base, at + lo, lo, hi, start + first, own, total, key)
        for k in range(ops.gradients.size // WIDTH):
            op = view(ops.gradients, k * WIDTH, WIDTH)
            add_gradient(plan, memory, grads, op[1], op, base, lo, hi, own, 0, op[2], int(lo > 0), data.ahead)
    barrier(meeting, worker, plan.workers)
    loss = 0.0
    for i in range(plan.workers):
        _, own, at = own_samples(plan, count, i)
        for j in range((own + plan.lanes - 1) // plan.lanes):
            loss += data.losses[at + j]
    if ops.gradients.size > 0 and np.isfinite(loss):
        use_gradients(worker, plan, data, memory, ops, meeting, step, plan.workers)
        project(worker, plan, memory, ops, meeting, step)
    return loss


@kernel
def train(worker, plan, data, memory, ops, meeting):
    """Work through the plan; returns the steps done before a loss that is not finite, or -1."""
    steps = (plan.samples + plan.batch - 1) // plan.batch
    for epoch in range(plan.epochs):
        if plan.shuffle:
            if worker == 0:
                shuffle(data.order, plan.seed, plan.epoch + epoch)
            barrier(meeting, worker, plan.workers)
        if memory.backup.size > 0:
            lo, hi = split(memory.params.size, worker, plan.workers)
            for i in range(lo, hi):
                memory.backup[i] = memory.params[i]
        lost = 0.0
        mass = 0.0
        for k in range(steps):
            start = k * plan.batch
            count = min(plan.batch, plan.samples - start)
            total = float(count)
            if data.weights.size > 0:
                total = 0.0
                for i in range(count):
                    total += data.weights[data.order[start + i]]
            done = epoch * steps + k
            step = view(memory.table, done * plan.coefficients, plan.coefficients)
            share = total if total > 0 else 1.0  # a batch of weight zero has no gradient
            if plan.spread:
                step[step.size - 1] = 1 / share  # the same, whichever worker writes it last
            key = mix(mix(np.uint64(plan.seed) ^ NOISE) + np.uint64(plan.first + done))
            if plan.shared:
                loss = shared_step(worker, plan, data, memory, ops, meeting, step, start, count, share, key)
            else:
                loss = private_step(worker, plan, data, memory, ops, meeting, step, start, count, share, key)
            if not np.isfinite(loss):
                if worker == 0:
                    data.results[epoch] = loss
                return done
            barrier(meeting, worker, plan.workers)
            if ops.penalties.size > 0:
                for i in range(penalty_place(memory, 0), memory.grads.size):
                    loss += memory.grads[i]
            part = float(count) if plan.spread else total
            lost += loss * part
            mass += part
        if worker == 0:
            data.results[epoch] = lost / mass
    return -1
