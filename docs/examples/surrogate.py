"""A network in place of an expensive function, minimised by SciPy with its exact derivatives.

The function is the Hartmann function of six variables, a standard test of optimisers whose global minimum is -3.32.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.stats import qmc

import numbanet as nn
from numbanet.export import to_njit

A = np.array([[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14],
              [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]])  # fmt: skip
P = np.array([[1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991],
              [2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381]]) / 1e4  # fmt: skip


def expensive(x):
    """To be thought of as an hour of simulation."""
    return -np.exp(-(A * (x[..., None, :] - P) ** 2).sum(-1)) @ np.array([1, 1.2, 3, 3.2])


X = qmc.Sobol(6, seed=0).random(16_384)
y = expensive(X)
inputs, outputs = nn.Scaling(0.5, 0.5), nn.Scaling(y.mean(), y.std())
model = nn.Sequential([nn.Dense(96, "tanh"), nn.Dense(96, "tanh"), nn.Dense(1)])
optimizer = nn.Adam(3e-3, schedule=nn.CosineDecay(76_800))
trainer = nn.Trainer(model, loss="mse", optimizer=optimizer, seed=0, dtype="float64")
trainer.fit(inputs(X), outputs(y), epochs=300, batch_size=64, progress=False)

functions = to_njit(model, inputs=inputs, outputs=outputs)
params, value, slope = functions.parameters, np.empty(1), np.empty((1, 6))


def surrogate(x):
    """Value and gradient, exact to rounding."""
    functions.predict(params, x, value)
    functions.jacobian(params, x, slope)
    return value[0], slope[0].copy()


starts = X[np.argsort(y)[:20]]
runs = [minimize(surrogate, x, jac=True, method="L-BFGS-B", bounds=[(0, 1)] * 6) for x in starts]
found = min(runs, key=lambda run: run.fun)
print(f"the best of {len(X)} samples is {y.min():.3f}")
print(f"the surrogate's least is {found.fun:.3f}; there the function is {expensive(found.x):.3f}, its own is -3.322")
