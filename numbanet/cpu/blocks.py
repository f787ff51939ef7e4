"""Blocks of a batch: samples in, forward, loss and backward, and the gradients that they add up to."""

from __future__ import annotations

from numbanet.cpu.jit import inline, invoke
from numbanet.cpu.lanes import gather, last_lanes
from numbanet.cpu.memory import view
from numbanet.cpu.plan import BLOCKS, SAMPLES, WIDTH
from numbanet.cpu.random import lane_keys


@inline
def load_block(plan, data, memory, at, first, count, lanes, total, key):
    """Gather a block's inputs, targets and weights, as shares of the batch's weight, and random keys."""
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
    if plan.key_row >= 0:
        lane_keys(key, data.order, first, count, memory.work, at + plan.key_row * lanes, lanes)


@inline
def run_blocks(plan, data, memory, ops, stage, base, at, first, count, blocks, lanes, total, key):
    """A stage of forward, loss and backward of consecutive blocks; ``first`` is a place in the order."""
    begin, end = ops.stages[stage], ops.stages[stage + 1]
    for i in range(blocks if begin == 0 else 0):
        rest = min(lanes, count - i * plan.lanes)
        load_block(plan, data, memory, base + i * plan.stride, first + i * plan.lanes, rest, lanes, total, key)
    for k in range(begin, end):
        op = view(ops.passes, k * WIDTH, WIDTH)
        invoke(op[0], memory.params, memory.hyper, memory.work, op, base, plan.stride, blocks, lanes)
    for i in range(blocks if end == ops.passes.size // WIDTH else 0):
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
def passes(plan, data, memory, ops, stage, base, at, lo, hi, start, count, total, key):
    """A stage of forward, loss and backward of blocks ``lo`` to ``hi`` of ``count`` samples; losses go to ``at``."""
    blocks = (count + plan.lanes - 1) // plan.lanes
    if plan.tail > 0 and stage == 0:
        for i in range(lo, hi):
            tail = base + (i - lo + 1) * plan.stride
            memory.work[tail - SAMPLES] = min(plan.lanes, count - i * plan.lanes)
            memory.work[tail - BLOCKS] = blocks
    last = last_lanes(count, plan.lanes, plan.vector, plan.narrow)
    full = hi - lo
    if hi == blocks and last < plan.lanes:
        full -= 1
    first, left = start + lo * plan.lanes, count - lo * plan.lanes
    if full > 0:
        run_blocks(plan, data, memory, ops, stage, base, at, first, left, full, plan.lanes, total, key)
    if full < hi - lo:
        base += full * plan.stride
        skipped = full * plan.lanes
        run_blocks(
            plan, data, memory, ops, stage, base, at + full, first + skipped, left - skipped, 1, last, total, key
        )


@inline
def add_gradient(plan, memory, grads, at, op, base, lo, hi, count, first, last, accumulate, ahead):
    """Gradient of a parameter's rows from the blocks ``lo`` to ``hi``, which start at ``base``."""
    blocks = (count + plan.lanes - 1) // plan.lanes
    lanes = last_lanes(count, plan.lanes, plan.vector, plan.narrow)
    full = hi - lo
    if hi == blocks and lanes < plan.lanes:
        full -= 1
    if full > 0:
        invoke(op[0], grads, at, memory.work, op, base, plan.stride, full, plan.lanes, first, last, accumulate, ahead)
        accumulate = 1
    if full < hi - lo:
        base += full * plan.stride
        invoke(op[0], grads, at, memory.work, op, base, plan.stride, 1, lanes, first, last, accumulate, ahead)
