"""What the driver works through: tables of operations, buffers, samples and sizes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

WIDTH = 20  # integers of an operation
SAMPLES, BLOCKS = 1, 2  # places from a block's end, where there is a tail: its samples, and the batch's blocks
TAIL = 2  # elements that these take


class Operations(NamedTuple):
    """Flat tables of operations, `WIDTH` int64 each, the address first."""

    passes: np.ndarray  # forward, loss, backward
    stages: np.ndarray  # at which of them the team meets, the first and past the last included
    gradients: np.ndarray  # address, offset, rows, columns of a parameter, ...
    transforms: np.ndarray  # of gradients: address, hyper, first, last
    penalties: np.ndarray  # added to the losses: address, hyper, first, last
    updates: np.ndarray  # address, hyper, first, last, whether by the optimiser
    projections: np.ndarray  # address, hyper, offset, rows, columns


class Memory(NamedTuple):
    """Flat buffers of the working type."""

    params: np.ndarray
    grads: np.ndarray  # one a worker, or one for all
    states: np.ndarray
    hyper: np.ndarray
    work: np.ndarray
    table: np.ndarray  # a row for each step: learning rate, coefficients, weight of the penalties
    backup: np.ndarray  # parameters at the beginning of the epoch, or empty
    outputs: np.ndarray  # predictions of the samples met, or empty


class Data(NamedTuple):
    """Samples, sample-first and flat, and the order in which they are visited."""

    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray  # empty: all one
    order: np.ndarray
    losses: np.ndarray  # float64, one a block; where workers have blocks of their own, with gaps
    results: np.ndarray  # float64, the mean loss of each epoch
    norms: np.ndarray  # float64, one a chunk of parameters
    ahead: np.ndarray  # int64, for each worker a stack of addresses to fetch, see `cachelines`


class Plan(NamedTuple):
    """Sizes that one call works through."""

    workers: int
    samples: int
    batch: int
    features: int
    target: int  # columns of targets
    outputs: int
    lanes: int
    vector: int
    narrow: int
    stride: int  # elements of a block in work
    span: int  # blocks that a worker, or the team if it shares them, takes at a time
    ahead: int  # integers of a worker's stack
    fused: int  # elements of a worker's gradients where they are used up as they come, else 0
    input_row: int
    target_row: int
    weight_row: int
    total_row: int
    output_row: int
    key_row: int  # of random keys, or -1
    tail: int  # elements behind a block's rows that all workers see, or 0
    first: int  # step, counted over all calls
    seed: int
    epoch: int
    epochs: int
    shuffle: int
    coefficients: int  # columns of the table
    clip_norm: float
    shared: int  # whether the workers share blocks
    spread: int  # whether penalties are divided by the weight of each batch
