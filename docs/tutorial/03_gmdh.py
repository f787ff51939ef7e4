r"""
3. The first deep networks: GMDH
================================

While perceptrons had one layer that learnt, Alexey Ivakhnenko in Kyiv trained networks of many layers, from 1965 on.
His units are no sigmoids but little polynomials, and layers are grown one at a time, without backpropagation. His 1971
paper describes a network of eight layers. He called it the *group method of data handling*, GMDH.

**Sources.** A. G. Ivakhnenko and V. G. Lapa, *Cybernetic predicting devices* (1965). A. G. Ivakhnenko, *Polynomial
theory of complex systems*, IEEE Transactions on Systems, Man, and Cybernetics 1 (1971). J. Schmidhuber, *Deep learning
in neural networks: an overview*, Neural Networks 61 (2015).
"""

# %%
# A unit
# ------
#
# A unit reads two numbers :math:`a` and :math:`b` and gives
#
# .. math::
#
#    z = c_0 + c_1 a + c_2 b + c_3 a^2 + c_4 b^2 + c_5 a b .
#
# The six coefficients are found by least squares: no iteration, no learning rate. Our data has six features. The target
# is made of two products, so no single feature tells anything about it; two features are idle.

import textwrap
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np

from numbanet.classic import GMDHRegressor

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, size=(600, 6))
y = X[:, 0] * X[:, 1] + X[:, 2] * X[:, 3] + rng.normal(0, 0.05, 600)
X_test, y_test = X[400:], y[400:]
X, y = X[:400], y[:400]

# %%
# The first layer, by hand
# ------------------------
#
# Fit a unit to every pair of features. Then comes Ivakhnenko's idea, the **external criterion**: a unit is judged by
# its error on samples that it was not fitted to. He knew, well before the word was common, that the error on the same
# samples always praises the more complicated model. So one half of the samples teaches, and the other half checks.

learn, check = slice(0, 200), slice(200, 400)


def terms(a, b):
    return np.column_stack([np.ones_like(a), a, b, a * a, b * b, a * b])


judged = []
for i, j in combinations(range(6), 2):
    c = np.linalg.lstsq(terms(X[learn, i], X[learn, j]), y[learn], rcond=None)[0]
    error = np.mean((terms(X[check, i], X[check, j]) @ c - y[check]) ** 2)
    judged.append((error / y[check].var(), i, j))
judged.sort()
for error, i, j in judged[:4]:
    print(f"x{i}, x{j}: error {error:.2f} of the variance")

# %%
# Of 15 units two stand out, those that read the pairs which belong together. Each explains half of the target. The best
# units become the inputs of the next layer, whose units again read two of them; and so on, until the checking error no
# longer falls.
#
# Growing the network
# -------------------

model = GMDHRegressor(max_layers=2, keep=2).fit(X, y)
errors = model.criteria_[0]
for layer, error in enumerate(errors, 1):
    print(f"layer {layer}: checking error {error:.4f} of the variance")

# %%
# What it has found is not a black box but a formula. ``u`` are the features brought to mean 0 and variance 1,
# ``z1_0`` is unit 0 of layer 1, and so on.

for line in model.formula().splitlines():
    print(textwrap.fill(line, 60, subsequent_indent="    "))

# %%
# Look for the large coefficients: in layer 1 they belong to the products, in layer 2 to the sum of the two units. The
# others are small; they are what noise leaves behind. On new samples:

r2 = model.score(X_test, y_test)
plane = np.linalg.lstsq(np.column_stack([np.ones(400), X]), y, rcond=None)[0]
flat = np.column_stack([np.ones(200), X_test]) @ plane
r2_linear = 1 - np.mean((flat - y_test) ** 2) / y_test.var()
print(f"R² of the network         {r2:.3f}")
print(f"R² of linear regression  {r2_linear:.3f}")

figure, ax = plt.subplots(figsize=(4.8, 4.5), layout="constrained")
ax.plot(y_test, flat, ".", color="grey", label="linear regression")
ax.plot(y_test, model.predict(X_test), ".", label="GMDH")
ax.axline((0, 0), slope=1, color="black", lw=0.8)
ax.set_xlabel("target")
ax.set_ylabel("prediction")
ax.legend()

# %%
# :math:`R^2` is 1 for a perfect prediction and 0 for one that always says the mean. On new samples it can be below 0.
#
# Why the criterion must be external
# ----------------------------------
#
# Now with few samples and much noise. We grow layers by hand once more, but break Ivakhnenko's rule: units survive by
# their error on the samples that taught them. The other half only watches.

noisy = y[:60] + rng.normal(0, 0.3, 60)
teach, watch = slice(0, 30), slice(30, 60)
features = X[:60] / X[:60].std(axis=0)
inside, outside = [], []
for _ in range(5):
    units = []
    for a, b in combinations(features.T, 2):
        T = terms(a, b)
        c = np.linalg.lstsq(T[teach], noisy[teach], rcond=None)[0]
        units.append(T @ c)
    units.sort(key=lambda z: np.mean((z[teach] - noisy[teach]) ** 2))
    features = np.column_stack(units[:6])
    inside.append(np.mean((units[0][teach] - noisy[teach]) ** 2))
    outside.append(np.mean((units[0][watch] - noisy[watch]) ** 2))
print("layer  taught  watched")
for layer, pair in enumerate(zip(inside, outside, strict=True), 1):
    print(f"{layer:5}  {pair[0]:6.3f}  {pair[1]:7.3f}")

figure, ax = plt.subplots(figsize=(4.8, 3.6), layout="constrained")
ax.plot(range(1, 6), inside, "o-", label="samples that taught")
ax.plot(range(1, 6), outside, "s-", label="samples that watched")
ax.set_yscale("log")
ax.set_xticks(range(1, 6))
ax.set_xlabel("layers")
ax.set_ylabel("mean squared error")
ax.legend()
plt.show()

# %%
# The error on the samples that taught falls with every layer. The other one tells the truth. This is **overfitting**,
# the subject of chapters 10 to 12, and Ivakhnenko's remedy, to select by samples held back, is still ours.
#
# Exercises
# ---------
#
# 1. In the last cell, let units survive by their error on the samples that watch. After how many layers would you stop?
# 2. Leave out ``max_layers`` and ``keep`` in ``GMDHRegressor``. Is the longer formula better on the test samples?
