"""Molecular dynamics with a learned potential, in one compiled loop.

A network learns the energy of four argon atoms (Lennard-Jones, in reduced units) from their six inverse distances.
Forces are its exact derivatives, by the chain rule; so the total energy is kept.
"""

import time

import numba
import numpy as np

import numbanet as nn
from numbanet.export import to_njit

ATOMS = 4
FIRST, SECOND = np.triu_indices(ATOMS, 1)


def descriptors(positions):
    """Inverse distances of all pairs, of shape (..., 6)."""
    return 1 / np.linalg.norm(positions[..., FIRST, :] - positions[..., SECOND, :], axis=-1)


def energy(positions):
    """What is to be learned."""
    s = descriptors(positions) ** 6
    return 4 * (s**2 - s).sum(-1)


rng = np.random.default_rng(0)
shape = 2 ** (1 / 6) / np.sqrt(8) * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
positions = shape * rng.uniform(0.95, 1.25, (20_000, 1, 1)) + rng.normal(0, 0.06, (20_000, ATOMS, 3))
energies = energy(positions)
positions, energies = positions[energies < 2], energies[energies < 2]
X = descriptors(positions)
inputs, outputs = nn.Scaling(X.mean(0), X.std(0)), nn.Scaling(energies.mean(), energies.std())
model = nn.Sequential([nn.Dense(48, "tanh"), nn.Dense(48, "tanh"), nn.Dense(1)])
optimizer = nn.Adam(3e-3, schedule=nn.CosineDecay(200 * -(-len(X) // 64)))
trainer = nn.Trainer(model, loss="mse", optimizer=optimizer, seed=0, dtype="float64")
trainer.fit(inputs(X), outputs(energies), epochs=200, batch_size=64, progress=False)

functions = to_njit(model, inputs=inputs, outputs=outputs)
predict, jacobian, params = functions.predict, functions.jacobian, functions.parameters


@numba.njit
def forces(params, x, f, pairs, slope, value):
    """Forces of the learned potential into ``f``; returns the energy."""
    k = 0
    for i in range(ATOMS):
        for j in range(i + 1, ATOMS):
            pairs[k] = 1 / np.sqrt(((x[i] - x[j]) ** 2).sum())
            k += 1
    predict(params, pairs, value)
    jacobian(params, pairs, slope)
    f[:] = 0
    k = 0
    for i in range(ATOMS):
        for j in range(i + 1, ATOMS):
            for axis in range(3):
                pull = slope[0, k] * pairs[k] ** 3 * (x[i, axis] - x[j, axis])
                f[i, axis] += pull
                f[j, axis] -= pull
            k += 1
    return value[0]


@numba.njit
def simulate(params, x, v, step, steps):
    """Velocity Verlet; total energy at each step."""
    f, pairs, slope, value = np.empty_like(x), np.empty(6), np.empty((1, 6)), np.empty(1)
    total = np.empty(steps)
    forces(params, x, f, pairs, slope, value)
    for n in range(steps):
        v += step / 2 * f
        x += step * v
        potential = forces(params, x, f, pairs, slope, value)
        v += step / 2 * f
        total[n] = potential + 0.5 * (v**2).sum()
    return total


velocity = rng.normal(0, 0.12, (ATOMS, 3))
velocity -= velocity.mean(0)
simulate(params, shape.copy(), velocity.copy(), 0.002, 1)
began = time.perf_counter()
total = simulate(params, shape.copy(), velocity.copy(), 0.002, 50_000)
spent = time.perf_counter() - began
learned = trainer.predict(inputs(X)).ravel() * outputs.scale + outputs.mean
print(f"energies learned to {np.sqrt(np.mean((learned - energies) ** 2)):.4f} of a well depth")
print(f"50,000 steps in {spent:.2f} s, {1e6 * spent / 50_000:.2f} us each; the energy drifts by {np.ptp(total):.1e}")
