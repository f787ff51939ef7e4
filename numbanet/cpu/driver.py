"""The training loop, compiled once: it knows blocks, steps and epochs, and no model.

What a model is made of comes as tables of operations: each row holds a kernel's address and its
integers. A batch is cut into blocks of lanes. A worker takes a span of blocks forward and back,
then adds its share of the gradients; the team meets; each worker updates its share of the
parameters; the team meets again.
"""

from __future__ import annotations

import numpy as np

from numbanet.cpu.cache import claim, want
from numbanet.cpu.jit import inline, invoke, kernel
from numbanet.cpu.lanes import gather
from numbanet.cpu.memory import view
from numbanet.cpu.plan import WIDTH
from numbanet.cpu.random import shuffle
from numbanet.cpu.threads import barrier

CHUNK = 2048  # parameters updated at a time; partial sums over them don't depend on the workers
FUSED = 8192  # gradients computed before they are used up, while they are in the cache


@inline
def split(count, worker, workers):
    """First and past-the-last of a worker's share."""
    return count * worker // workers, count * (worker + 1) // workers


@inline
def load_block(plan, data, memory, at, first, count, lanes, total):
    """Gather a block's inputs, targets and weights, as shares of the batch's weight."""
    row = at + plan.input_row * lanes
    gather(data.inputs, plan.features, data.order, first, count, memory.work, row, lanes, plan.vector)
    if plan.target > 0:
        row = at + plan.target_row * lanes
        gather(data.targets, plan.target, data.order, first, count, memory.work, row, lanes, plan.vector)
        weight = view(memory.work, at + plan.weight_row * lanes, lanes)
        for i in range(lanes):
            weight[i] = 1 / total if i < count else 0.0
        if data.weights.size > 0:
            for i in range(count):
                weight[i] *= data.weights[data.order[first + i]]


@inline
def run_blocks(plan, data, memory, ops, base, at, first, count, blocks, lanes, total):
    """Forward, loss and backward of consecutive blocks; ``first`` is a place in the order."""
    for i in range(blocks):
        rest = min(lanes, count - i * plan.lanes)
        load_block(plan, data, memory, base + i * plan.stride, first + i * plan.lanes, rest, lanes, total)
    for k in range(ops.passes.size // WIDTH):
        op = view(ops.passes, k * WIDTH, WIDTH)
        invoke(op[0], memory.params, memory.hyper, memory.work, op, base, plan.stride, blocks, lanes)
    for i in range(blocks):
        block = base + i * plan.stride
        if plan.target > 0:
            lost = view(memory.work, block + plan.total_row * lanes, lanes)
            loss = 0.0
            for lane in range(lanes):
                loss += lost[lane]
            data.losses[at + i] = loss
        if memory.outputs.size > 0:
            for lane in range(min(lanes, count - i * plan.lanes)):
                row = data.order[first + i * plan.lanes + lane]
                for u in range(plan.outputs):
                    memory.outputs[row * plan.outputs + u] = memory.work[block + (plan.output_row + u) * lanes + lane]


@inline
def last_lanes(plan, count, blocks):
    """Lanes of the last block: full, or as few vectors as hold its samples, or a narrow one."""
    rest = count - (blocks - 1) * plan.lanes
    return plan.narrow if rest <= plan.narrow else (rest + plan.vector - 1) // plan.vector * plan.vector


@inline
def passes(plan, data, memory, ops, base, at, lo, hi, start, count, total):
    """Forward, loss and backward of blocks ``lo`` to ``hi`` of ``count`` samples; losses go to ``at``."""
    blocks = (count + plan.lanes - 1) // plan.lanes
    last = last_lanes(plan, count, blocks)
    full = hi - lo
    if hi == blocks and last < plan.lanes:
        full -= 1
    first, left = start + lo * plan.lanes, count - lo * plan.lanes
    if full > 0:
        run_blocks(plan, data, memory, ops, base, at, first, left, full, plan.lanes, total)
    if full < hi - lo:
        base += full * plan.stride
        skipped = full * plan.lanes
        run_blocks(plan, data, memory, ops, base, at + full, first + skipped, left - skipped, 1, last, total)


@inline
def add_gradient(plan, memory, grads, at, op, base, lo, hi, count, first, last, accumulate, ahead):
    """Gradient of a parameter's rows from the blocks ``lo`` to ``hi``, which start at ``base``."""
    blocks = (count + plan.lanes - 1) // plan.lanes
    lanes = last_lanes(plan, count, blocks)
    full = hi - lo
    if hi == blocks and lanes < plan.lanes:
        full -= 1
    if full > 0:
        invoke(op[0], grads, at, memory.work, op, base, plan.stride, full, plan.lanes, first, last, accumulate, ahead)
        accumulate = 1
    if full < hi - lo:
        base += full * plan.stride
        invoke(op[0], grads, at, memory.work, op, base, plan.stride, 1, lanes, first, last, accumulate, ahead)


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
        apply(memory, ops.transforms, step, first, last, first)
        if plan.clip_norm > 0:
            total = 0.0
            for j in range(last - first):
                total += np.float64(g[j]) * np.float64(g[j])
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
            g = view(memory.grads, first, last - first)
            for j in range(last - first):
                g[j] *= scale
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
def fused_rows(columns):
    """Rows of a gradient that are computed and used up at a time: whole tiles, still in the cache."""
    return max(24, FUSED // columns)


@inline
def want_samples(worker, plan, data, ahead, start):
    """Ask for the inputs of the worker's first blocks of the step that begins at ``start``."""
    count = min(plan.batch, plan.samples - start)
    lo, hi = split(min(plan.span, (count + plan.lanes - 1) // plan.lanes), worker, plan.workers)
    for i in range(start + lo * plan.lanes, start + min(count, hi * plan.lanes)):
        row = data.order[i] * plan.features
        want(ahead, data.inputs, row, row + plan.features)


@inline
def shared_step(worker, plan, data, memory, ops, meeting, step, start, count, total):
    """One step in which the team shares the blocks, then the rows of the gradient.

    No sum depends on the number of workers.
    """
    blocks = (count + plan.lanes - 1) // plan.lanes
    ahead = view(data.ahead, worker * plan.ahead, plan.ahead if plan.fused else 0)
    loss = 0.0
    for begin in range(0, blocks, plan.span):
        end = min(begin + plan.span, blocks)
        mine, past = split(end - begin, worker, plan.workers)
        if mine < past:
            base = mine * plan.stride
            lo, hi = begin + mine, begin + past
            passes(plan, data, memory, ops, base, lo, lo, hi, start, count, total)
        barrier(meeting, worker, plan.workers)
        if plan.target > 0:
            for i in range(begin, end):
                loss += data.losses[i]
        if end == blocks and (ops.gradients.size == 0 or not np.isfinite(loss)):
            data.lost[8 * worker] = loss
            return
        if plan.fused:
            ahead[0] = 0
            want_samples(worker, plan, data, ahead, start + count)
            samples = ahead[0]
        for k in range(ops.gradients.size // WIDTH):
            op = view(ops.gradients, k * WIDTH, WIDTH)
            lo, hi = split(op[2], worker, plan.workers)
            rows = fused_rows(op[3]) if plan.fused else max(1, hi - lo)
            for first in range(lo, hi, rows):
                last = min(hi, first + rows)
                start_at, end_at = op[1] + first * op[3], op[1] + last * op[3]
                at = worker * plan.fused if plan.fused else start_at
                if plan.fused:
                    want_parameters(memory, ahead, start_at, end_at)
                adds = int(begin > 0)
                add_gradient(plan, memory, memory.grads, at, op, 0, begin, end, count, first, last, adds, ahead)
                if plan.fused:
                    ahead[0] = min(ahead[0], samples)
                    apply(memory, ops.transforms, step, start_at, end_at, at)
                    update(plan, memory, ops, step, start_at, end_at, at)
        if end < blocks:
            barrier(meeting, worker, plan.workers)
    if not plan.fused:
        barrier(meeting, worker, plan.workers)
        use_gradients(worker, plan, data, memory, ops, meeting, step, 1)
    project(worker, plan, memory, ops, meeting, step)
    data.lost[8 * worker] = loss


@inline
def own_samples(plan, count, worker):
    """First and number of a worker's samples, whole vectors of lanes, and the place of its losses."""
    lo, hi = split((count + plan.vector - 1) // plan.vector, worker, plan.workers)
    first = lo * plan.vector
    return first, min(count, hi * plan.vector) - first, first // plan.lanes + worker


@inline
def private_step(worker, plan, data, memory, ops, meeting, step, start, count, total):
    """One step in which each worker takes spans of its blocks depth first, into a gradient of its own."""
    size = memory.params.size if ops.gradients.size > 0 else 0
    grads = view(memory.grads, worker * size, size)
    base = worker * plan.span * plan.stride
    first, own, at = own_samples(plan, count, worker)
    blocks = (own + plan.lanes - 1) // plan.lanes
    ahead = view(data.ahead, 0, 0)
    if blocks == 0:
        grads[:] = 0
    for lo in range(0, blocks, plan.span):
        hi = min(lo + plan.span, blocks)
        passes(plan, data, memory, ops, base, at + lo, lo, hi, start + first, own, total)
        for k in range(ops.gradients.size // WIDTH):
            op = view(ops.gradients, k * WIDTH, WIDTH)
            add_gradient(plan, memory, grads, op[1], op, base, lo, hi, own, 0, op[2], int(lo > 0), ahead)
    barrier(meeting, worker, plan.workers)
    loss = 0.0
    for i in range(plan.workers):
        _, own, at = own_samples(plan, count, i)
        for j in range((own + plan.lanes - 1) // plan.lanes):
            loss += data.losses[at + j]
    if ops.gradients.size > 0 and np.isfinite(loss):
        use_gradients(worker, plan, data, memory, ops, meeting, step, plan.workers)
        project(worker, plan, memory, ops, meeting, step)
    data.lost[8 * worker] = loss


@kernel
def train(worker, plan, data, memory, ops, meeting):
    """Work through the plan; returns the steps done before a loss that is not finite, or -1."""
    steps = (plan.samples + plan.batch - 1) // plan.batch
    for epoch in range(plan.epochs):
        if plan.shuffle and steps > 1:
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
            if plan.shared:
                shared_step(worker, plan, data, memory, ops, meeting, step, start, count, share)
            else:
                private_step(worker, plan, data, memory, ops, meeting, step, start, count, share)
            loss = data.lost[8 * worker]
            if not np.isfinite(loss):
                if worker == 0:
                    data.results[2 * epoch] = loss
                return done
            lost += loss * total
            mass += total
            barrier(meeting, worker, plan.workers)
        if worker == 0:
            data.results[2 * epoch] = lost / mass
            data.results[2 * epoch + 1] = mass
    return -1
