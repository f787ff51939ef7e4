"""A learned differential equation, integrated by a compiled loop and by SciPy.

A network learns how predators and prey change (Lotka and Volterra) from noisy measurements of their rates. Then
it is the right-hand side of a Runge-Kutta loop in ``@njit``, and of `scipy.integrate.solve_ivp`.
"""

import time

import numba
import numpy as np
from scipy.integrate import solve_ivp

import numbanet as nn
from numbanet.export import to_njit


def rates(t, state):
    """What is to be learned."""
    prey, predators = state
    return np.array([1.1 * prey - 0.4 * prey * predators, 0.1 * prey * predators - 0.4 * predators])


rng = np.random.default_rng(0)
states = rng.uniform([0.5, 0.3], [16, 8], (4000, 2))
measured = np.array([rates(0, state) for state in states]) + rng.normal(0, 0.01, states.shape)

inputs = nn.Scaling(states.mean(0), states.std(0))
outputs = nn.Scaling(measured.mean(0), measured.std(0))
model = nn.Sequential([nn.Dense(32, "tanh"), nn.Dense(32, "tanh"), nn.Dense(2)])
optimizer = nn.Adam(3e-3, schedule=nn.CosineDecay(63_000))
trainer = nn.Trainer(model, loss="mse", optimizer=optimizer, seed=0, dtype="float64")
trainer.fit(inputs(states), outputs(measured), epochs=1000, batch_size=64, progress=False)

functions = to_njit(model, inputs=inputs, outputs=outputs)
predict, params = functions.predict, functions.parameters


@numba.njit
def runge_kutta(params, state, step, steps):
    """All states on the way."""
    path = np.empty((steps + 1, state.size))
    path[0] = state
    k1, k2, k3, k4 = np.empty((4, state.size))
    for i in range(steps):
        x = path[i]
        predict(params, x, k1)
        predict(params, x + step / 2 * k1, k2)
        predict(params, x + step / 2 * k2, k3)
        predict(params, x + step * k3, k4)
        path[i + 1] = x + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return path


def learned(t, state):
    """The network as SciPy wants it."""
    predict(params, state, slope)
    return slope.copy()


start, end, steps = np.array([10.0, 5.0]), 20.0, 2000
slope = np.empty(2)
runge_kutta(params, start, end / steps, 1)
began = time.perf_counter()
path = runge_kutta(params, start, end / steps, steps)
spent = time.perf_counter() - began
truth = solve_ivp(rates, (0, end), start, rtol=1e-9, atol=1e-9)
scipy_path = solve_ivp(learned, (0, end), start, rtol=1e-6, atol=1e-6)

error = abs(path[-1] - truth.y[:, -1]).max() / truth.y.max()
agreement = abs(path[-1] - scipy_path.y[:, -1]).max()
print(f"{4 * steps} evaluations in {1e3 * spent:.2f} ms: {1e9 * spent / (4 * steps):.0f} ns each")
print(f"after t = {end:g}: {100 * error:.1f} % from the truth; loop and SciPy differ by {agreement:.1e}")
