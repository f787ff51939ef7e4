r"""
7. Searching for the global minimum
===================================

Gradient descent walks downhill, so it ends in the minimum of the valley in which it began. Is there a deeper valley
elsewhere? This chapter shows a loss with many valleys, and three ways to look for the deepest: many beginnings,
hopping, and annealing.

**Sources.** S. Kirkpatrick, C. D. Gelatt and M. P. Vecchi, *Optimization by simulated annealing*, Science 220 (1983).
D. J. Wales and J. P. K. Doye, *Global optimization by basin-hopping*, Journal of Physical Chemistry A 101 (1997). Y.
Xiang, D. Y. Sun, W. Fan and X. G. Gong, *Generalized simulated annealing algorithm and its application to the Thomson
model*, Physics Letters A 233 (1997).
"""

# %%
# A loss with many valleys
# ------------------------
#
# One unit whose activation is the sine is to find the frequency of a wave. It has two parameters, so we can see all of
# its loss:
#
# .. math::
#
#    L(w, b) = \frac{1}{n} \sum_i \bigl(\sin(w x_i + b) - \sin(3 x_i + 0.5)\bigr)^2 .
#
# The sine is no built-in activation; one line makes it one, derivative and machine code included.

import math

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import basinhopping, dual_annealing, minimize

import numbanet as nn


def wave(x):
    return math.sin(x)


sine = nn.Activation("sine", forward=wave)
X = np.linspace(-2, 2, 40)[:, np.newaxis]
y = np.sin(3 * X + 0.5)

model = nn.Sequential([
    nn.Dense(1, sine, kernel_initializer=nn.RandomUniform(-8, 8),
             bias_initializer=nn.RandomUniform(-3, 3))
])

# %%
# Many beginnings
# ---------------
#
# ``nn.multi_start`` trains the same network from several random weights, several at a time, and keeps the best.

found = nn.multi_start(
    model, X, y, loss="mean_squared_error", optimizer=nn.Adam(0.02),
    starts=24, epochs=600, batch_size=40, dtype="float64",
)
ends = np.array([t.model.parameters for t in found.trainers])
levels, counts = np.unique(found.losses.round(3), return_counts=True)
for level, count in zip(levels, counts, strict=True):
    print(f"{count:2} ended with a loss of {level:.3f}")
w, b = found.best.model.parameters
print(f"best: w = {w:.4f}, b = {b:.4f}")

ws, bs = np.linspace(-10, 10, 121), np.linspace(-5, 5, 81)
surface = [
    [found.best.loss_and_gradient(X, y, np.array([w, b]))[0] for w in ws] for b in bs
]
figure, ax = plt.subplots(figsize=(5, 4), layout="constrained")
drawn = ax.contourf(ws, bs, surface, levels=np.arange(0, 2.1, 0.2), cmap="cividis")
figure.colorbar(drawn, label="loss")
ax.plot(*ends.T, "o", mfc="white", mec="crimson", ms=6)
ax.set_xlabel("weight w")
ax.set_ylabel("bias b")

# %%
# Each circle is where a network came to rest. Some valleys reach down to 0, others don't, and from within a valley
# nothing tells which kind it is: the gradient is 0 in all of them. The deep valleys are equally deep. (3, 0.5) is the
# frequency that we put in; :math:`(-3, \pi - 0.5)` is the same wave written otherwise, for
# :math:`\sin(\pi - u) = \sin u`. Networks are full of such symmetries: hidden units can be exchanged, signs flipped.

local = found.losses > 0.01
print(f"{local.sum()} of {len(local)} beginnings were in vain")

# %%
# If one beginning in :math:`1/p` is good, the chance that all of :math:`k` fail is :math:`(1 - p)^k`. With our share:

share = 1 - local.mean()
for k in (1, 3, 10):
    print(f"{k:2} beginnings: all fail with probability {(1 - share) ** k:.3f}")

# %%
# Hopping
# -------
#
# SciPy has searches that go on from where they are. They want a loss and a gradient for a flat vector of parameters,
# and ``trainer.loss_and_gradient`` is exactly that, compiled. **Basin hopping** walks down with a local method, jumps
# at random, walks down again, and keeps the new place if it is lower, or by chance if it is not much higher. We begin
# in a poor valley.

trainer = found.trainers[0]


def objective(parameters):
    return trainer.loss_and_gradient(X, y, parameters)


begin = np.array([7.0, 0.0])
stuck = minimize(objective, begin, jac=True, method="L-BFGS-B")
hopped = basinhopping(
    objective, begin, niter=50, stepsize=2.0, rng=0,
    minimizer_kwargs={"jac": True, "method": "L-BFGS-B"},
)
print(f"downhill only:  loss {stuck.fun:.3f} at w = {stuck.x[0]:.3f}")
print(f"basin hopping:  loss {hopped.fun:.1e} at w = {hopped.x[0]:.3f}")

# %%
# Annealing
# ---------
#
# Metal that cools slowly finds an ordered state. Simulated annealing accepts a step uphill by :math:`\Delta L` with
# probability :math:`e^{-\Delta L / T}` and lowers the temperature :math:`T`: first it roams, in the end it only
# descends. SciPy's **dual annealing** needs bounds, and polishes with a local method.

annealed = dual_annealing(
    lambda p: objective(p)[0], [(-8, 8), (-math.pi, math.pi)], maxiter=50, rng=0,
    minimizer_kwargs={"method": "L-BFGS-B", "jac": lambda p: objective(p)[1]},
)
print(f"dual annealing: loss {annealed.fun:.1e} at w = {annealed.x[0]:.3f}")

# %%
# All three find the wave. What do they cost, in evaluations of the loss?

cost = {
    "24 beginnings": 24 * 600,
    "basin hopping": hopped.nfev,
    "dual annealing": annealed.nfev,
}
for name, evaluations in cost.items():
    print(f"{name:15} {evaluations:6}")

figure, ax = plt.subplots(figsize=(4.8, 3.6), layout="constrained")
x = np.linspace(-2, 2, 300)
ax.plot(X[:, 0], y[:, 0], ".", color="grey", label="data")
ax.plot(x, np.sin(stuck.x[0] * x + stuck.x[1]), label=f"local minimum, loss {stuck.fun:.2f}")
ax.plot(x, np.sin(hopped.x[0] * x + hopped.x[1]), label="global minimum")
ax.set_xlabel("x")
ax.set_ylim(-1.2, 2.2)
ax.legend()
plt.show()

# %%
# In two dimensions the searches of SciPy are far cheaper. That does not last. The space to be searched grows with every
# weight, and for a network of thousands nobody proves that a minimum is global. Fortunately it matters less there: wide
# networks have many good minima, and some beginnings do. The lowest training loss is not the aim anyway, as chapter 10
# will show.
#
# Exercises
# ---------
#
# 1. Chapter 4's network learns XOR from most seeds. Find the share of failures with ``multi_start`` and 100 starts.
# 2. Make the wave faster, ``np.sin(6 * X + 0.5)``. What becomes of the share of good beginnings?
