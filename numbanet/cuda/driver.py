"""The training loop on the device: whole epochs in one launch.

It is the CPU's loop with blocks of threads for workers. Either each takes blocks of lanes of its own depth first, into
a gradient of its own, or all work on one block that is the whole batch. No sum is made by atomic additions, so the
same launch gives the same bits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from numbanet.cpu.driver import NOISE
from numbanet.cpu.random import lane_key, mix
from numbanet.cuda.intrinsics import put_word, view
from numbanet.cuda.order import first_order, row_of, shuffle
from numbanet.cuda.slots import (
    T,
    clips,
    gradients,
    meet,
    meet_part,
    passes,
    penalties,
    projections,
    trained_square,
    transforms,
    updates,
)  # fmt: skip
from numbanet.cuda.sums import block_sum, sum_slices, team_sum


class Memory(NamedTuple):
    """Flat buffers of the working type."""

    params: np.ndarray
    grads: np.ndarray  # a slice for each partial sum
    states: np.ndarray
    hyper: np.ndarray
    work: np.ndarray
    table: np.ndarray  # a row for each step: learning rate, coefficients, weight of the penalties
    backup: np.ndarray


class Data(NamedTuple):
    """Samples, their order, and what is found out."""

    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray  # empty: all one
    outputs: np.ndarray  # predictions of the samples met, or empty
    order: np.ndarray  # int32, then two of the same size to make the next
    partial: np.ndarray  # float64, one a block of threads, three times
    results: np.ndarray  # float64, the mean loss of each epoch, then the steps done before one that failed, or -1
    sums: np.ndarray  # float64, of the block of threads


class Plan(NamedTuple):
    """Integers of a launch."""

    samples: int
    batch: int
    epochs: int
    epoch: int
    first: int  # step, counted over all calls
    seed: int
    shuffle: int
    lanes: int
    coefficients: int
    slices: int  # gradients that are added up where all work together; otherwise each block has one
    shared: int  # whether all work on one block of lanes
    spread: int  # whether penalties are divided by the weight of each batch
    trains: int  # 0 evaluates, 1 makes the gradient, 2 uses it
    penalized: int
    weighted: int  # whether samples have weights
    keeps: int  # whether outputs are kept
    features: int
    target: int
    outputs: int
    ordered: int  # whether the order of the samples is looked up
    input_row: int
    target_row: int
    weight_row: int
    total_row: int
    output_row: int
    key_row: int


class Place(NamedTuple):
    """Which thread this is."""

    thread: int
    threads: int
    block: int
    blocks: int
    rank: int  # of those that share a block of lanes
    size: int
    base: int  # where their block of lanes is


def load(place, plan, memory, data, start, first, count, share, key):
    """Inputs, targets, weights as shares of the batch's weight, and random keys of a block's lanes."""
    lanes, work = plan.lanes, memory.work
    for t in range(place.rank, plan.features * lanes, place.size):
        lane = t % lanes
        value = T(0)
        if first + lane < count:
            value = T(data.inputs[row_of(plan, data, start + first + lane) * plan.features + t // lanes])
        work[place.base + plan.input_row * lanes + t] = value
    for t in range(place.rank, plan.target * lanes, place.size):
        lane = t % lanes
        if first + lane < count:
            value = data.targets[row_of(plan, data, start + first + lane) * plan.target + t // lanes]
        else:  # one that the loss takes
            value = data.targets[row_of(plan, data, start) * plan.target + t // lanes]
        work[place.base + plan.target_row * lanes + t] = value
    for lane in range(place.rank, lanes if plan.target > 0 else 0, place.size):
        weight = T(0)
        if first + lane < count:
            weight = T(1) / T(share)
            if plan.weighted:
                weight *= data.weights[row_of(plan, data, start + first + lane)]
        work[place.base + plan.weight_row * lanes + lane] = weight
    if plan.key_row >= 0:
        for lane in range(place.rank, lanes, place.size):
            sample = row_of(plan, data, start + min(first + lane, count - 1))
            put_word(work, place.base + plan.key_row * lanes + lane, lane_key(key, sample))
    meet_part()


def block_pass(place, plan, memory, data, start, first, count, share, key, adds):
    """Forward, loss and backward of a block of lanes; returns what this block of threads has of its loss."""
    lanes, work = plan.lanes, memory.work
    load(place, plan, memory, data, start, first, count, share, key)
    filled = min(lanes, count - first)
    passes(place.rank, place.size, memory.params, memory.hyper, work, place.base, lanes, filled)
    loss = lane_losses(place, plan, memory)
    if plan.keeps:
        keep_outputs(place, plan, memory, data, start, first, filled)
    if plan.trains:
        pitch = memory.params.size
        grads = memory.grads if plan.shared else view(memory.grads, place.block * pitch, pitch)
        slices = plan.slices if plan.shared else 1
        gradients(place.rank, place.size, grads, slices, pitch, adds, work, place.base, lanes)
    meet_part()
    return loss


def lane_losses(place, plan, memory):
    """What this thread has of the loss of a block of lanes, which each block of threads adds up where they share it."""
    loss = 0.0
    rank, size = (place.thread, place.threads) if plan.shared else (place.rank, place.size)
    for lane in range(rank, plan.lanes if plan.target > 0 else 0, size):
        loss += memory.work[place.base + plan.total_row * plan.lanes + lane]
    return loss


def keep_outputs(place, plan, memory, data, start, first, filled):
    """Outputs of a block of lanes, where their samples are."""
    for t in range(place.rank, plan.outputs * filled, place.size):
        lane, u = t // plan.outputs, t % plan.outputs
        row = row_of(plan, data, start + first + lane)
        data.outputs[row * plan.outputs + u] = memory.work[place.base + (plan.output_row + u) * plan.lanes + lane]


def use_gradients(place, plan, memory, data, step, clip_norm):
    """Add up, transform and apply the gradients; returns the penalties."""
    size = memory.params.size
    rank, count = place.block * place.threads + place.thread, place.blocks * place.threads
    penalty = squares = 0.0
    slices = plan.slices if plan.shared else place.blocks
    for i in range(rank, size, count):
        memory.grads[i] = sum_slices(memory.grads, i, size, slices)
        if plan.penalized:
            memory.grads[slices * size + i] = 0
            penalties(memory.params, memory.grads, slices * size + i, memory.states, memory.hyper, step, i)
            penalty += memory.grads[slices * size + i]
        transforms(memory.params, memory.grads, i, memory.states, memory.hyper, step, i)
        if plan.trains > 1:
            clips(memory.params, memory.grads, i, memory.states, memory.hyper, step, i)
        if clip_norm > 0:
            squares += trained_square(memory.grads, i)
        elif plan.trains > 1:
            updates(memory.params, memory.grads, i, memory.states, memory.hyper, step, i)
    if clip_norm > 0 and plan.trains > 1:
        total = team_sum(place, data, 1, squares)
        scale = min(1.0, clip_norm / math.sqrt(total)) if total > 0 else 1.0
        for i in range(rank, size, count):
            if trained_square(memory.grads, i) > 0:
                memory.grads[i] *= T(scale)
            updates(memory.params, memory.grads, i, memory.states, memory.hyper, step, i)
    if plan.penalized:
        penalty = team_sum(place, data, 2, penalty)
    meet()
    return penalty


def batch_weight(place, plan, data, start, count):
    """Sum of the weights of a batch."""
    if not plan.weighted:
        return float(count)
    value = 0.0
    for i in range(place.thread, count, place.threads):
        value += data.weights[row_of(plan, data, start + i)]
    return block_sum(place, data, value)


def batch_of(place, plan, data, done):
    """First sample and number of those of a step, their weight, and what their weights are shares of."""
    start = done % ((plan.samples + plan.batch - 1) // plan.batch) * plan.batch
    count = min(plan.batch, plan.samples - start)
    total = batch_weight(place, plan, data, start, count)
    return start, count, total, total if total > 0 else 1.0  # a batch of weight zero has no gradient


def step_key(plan, done):
    """Key of a step, by which its chance goes."""
    return mix(mix(np.uint64(plan.seed) ^ NOISE) + np.uint64(plan.first + done))


def begin_epoch(place, plan, memory, data, epoch):
    """The order of the samples, and a copy of the parameters."""
    rank, size = place.block * place.threads + place.thread, place.blocks * place.threads
    if plan.shuffle:
        shuffle(place, data, plan.samples, plan.seed, plan.epoch + epoch)
    elif epoch == 0:
        first_order(plan, data, rank, size)
    if plan.trains > 1:
        for i in range(rank, memory.params.size, size):
            memory.backup[i] = memory.params[i]


def one_step(place, plan, memory, data, start, count, share, key):
    """Loss of a batch, known to all threads; its gradients are made."""
    lost, adds, lanes = 0.0, 0, plan.lanes
    own, apart = (0, count) if plan.shared else (place.block * lanes, place.blocks * lanes)
    for first in range(own, count, apart):  # the one call, for all that is inside is compiled for each
        lost += block_pass(place, plan, memory, data, start, first, count, share, key, adds)
        adds = 1
    if adds == 0 and plan.trains:
        for i in range(place.thread, memory.params.size, place.threads):
            memory.grads[place.block * memory.params.size + i] = 0
    if plan.target > 0:  # there is a loss
        lost = block_sum(place, data, lost) if plan.shared else team_sum(place, data, 0, lost)
        if plan.trains == 0:  # nobody meets in between before the next sum
            meet()
    return lost


def train(place, plan, memory, data, clip_norm):
    """Work through the plan."""
    steps = (plan.samples + plan.batch - 1) // plan.batch
    rank, size = place.block * place.threads + place.thread, place.blocks * place.threads
    for epoch in range(plan.epochs):
        begin_epoch(place, plan, memory, data, epoch)
        lost = mass = 0.0
        for k in range(steps):
            done = epoch * steps + k
            start, count, total, share = batch_of(place, plan, data, done)
            step = view(memory.table, done * plan.coefficients, plan.coefficients)
            if plan.spread:
                step[plan.coefficients - 1] = T(1.0 / share)  # the same, whichever thread writes it last
                meet()
            loss = one_step(place, plan, memory, data, start, count, share, step_key(plan, done))
            if not math.isfinite(loss):
                if rank == 0:
                    data.results[epoch] = loss
                    data.results[plan.epochs] = done
                return
            if plan.trains:
                loss += use_gradients(place, plan, memory, data, step, clip_norm)
                if plan.trains > 1:
                    projections(rank, size, memory.params, memory.grads, memory.states, memory.hyper, step)
            part = float(count) if plan.spread else total
            lost += loss * part
            mass += part
        if rank == 0:
            data.results[epoch] = lost / mass
    if rank == 0:
        data.results[plan.epochs] = -1
