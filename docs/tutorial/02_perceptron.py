r"""
2. The perceptron
=================

In 1958 Frank Rosenblatt let a neuron find its own weights. It looks at one sample after the other and changes only when
it is wrong. This chapter writes his rule in a few lines, counts the mistakes, and meets the problem that the perceptron
can't solve. Beside it stands the adaline of 1960, which learns from *how far* it is off.

**Sources.** F. Rosenblatt, *The perceptron: a probabilistic model for information storage and organization in the
brain*, Psychological Review 65 (1958). B. Widrow and M. E. Hoff, *Adaptive switching circuits*, IRE WESCON Convention
Record (1960). A. B. J. Novikoff, *On convergence proofs on perceptrons* (1962). M. Minsky and S. Papert, *Perceptrons*
(1969). S. I. Gallant, *Perceptron-based learning algorithms* (1990).
"""

# %%
# The rule
# --------
#
# The perceptron computes the logit :math:`z = w \cdot x + b` and says "second class" where :math:`z \ge 0`. Write the
# classes as :math:`s = -1` and :math:`s = 1`. A sample that is classified rightly changes nothing. A mistake changes
# weights and bias by
#
# .. math::
#
#    w \leftarrow w + s\,x, \qquad b \leftarrow b + s,
#
# which moves the logit of this sample in the right direction. Our samples lie in a square, and the line
# :math:`x_1 + 2 x_2 = 0.3` divides the classes. Points near the line are left out, so that there is a gap.

import matplotlib.pyplot as plt
import numpy as np

import numbanet as nn
from numbanet.classic import Adaline, Perceptron, novikoff_bound

rng = np.random.default_rng(3)
X = rng.uniform(-1, 1, size=(100, 2))
side = X @ [1.0, 2.0] - 0.3
keep = np.abs(side) > 0.2
X, y = X[keep], (side[keep] > 0).astype(int)
print(len(X), "samples,", y.sum(), "of class 1")

# %%
# Here is all of the learning. One pass over the samples is an **epoch**.

signs = 2 * y - 1
weights, bias = np.zeros(2), 0.0
mistakes, lines = [], []
while not mistakes or mistakes[-1] > 0:
    wrong = 0
    for x, s in zip(X, signs, strict=True):
        if (weights @ x + bias >= 0) != (s > 0):
            weights, bias = weights + s * x, bias + s
            wrong += 1
    mistakes.append(wrong)
    lines.append((weights, bias))
print("mistakes in each epoch:", mistakes)
print("weights", weights.round(3), "bias", bias)

# %%
# ``numbanet.classic.Perceptron`` does the same, compiled. In the same order it makes the same mistakes.

unit = Perceptron(shuffle=False).fit(X, y)
print("mistakes:", unit.mistakes_)
print("weights", unit.coef_[0].round(3), "bias", unit.intercept_[0])

figure, axes = plt.subplots(2, 1, figsize=(4.8, 7), layout="constrained", height_ratios=[3, 1.4])
nn.plot.decision_regions(unit, X, y, axes[0])
corner = np.array([X[:, 0].min(), X[:, 0].max()])
low, high = axes[0].get_ylim()
for w, b in lines[:-1]:
    axes[0].plot(corner, -(w[0] * corner + b) / w[1], color="grey", lw=0.8, ls="--")
axes[0].set_ylim(low, high)
axes[0].set_title("after each epoch (dashed), and at the end")
axes[1].bar(range(1, len(mistakes) + 1), mistakes)
axes[1].set_xlabel("epoch")
axes[1].set_ylabel("mistakes")

# %%
# It stops with the first line without a mistake, be it ever so close to a sample.
#
# How many mistakes at most?
# --------------------------
#
# Novikoff proved in 1962 that the mistakes must end if *some* line separates the classes. Append a 1 to each sample, so
# that the bias is a weight like the others. Let :math:`R` be the length of the longest sample and :math:`\gamma` the
# smallest distance of a sample from the plane through the origin that separates them. Then
#
# .. math::
#
#    \text{mistakes} \le \left(\frac{R}{\gamma}\right)^2 .
#
# The number of samples does not appear! Only the gap counts. We know a line that separates:

bound = novikoff_bound(X, y, [1.0, 2.0], -0.3)
made = sum(mistakes)
print(f"{made} mistakes; at most {bound:.0f} were possible")

# %%
# Any line that separates gives a bound; that of the widest gap is the sharpest. The perceptron usually does far better
# than it.
#
# Adaline
# -------
#
# Widrow and Hoff asked their unit for more: the logit itself should be -1 or 1. Each sample changes the weights by how
# far it is off, with a small **learning rate** :math:`\eta`:
#
# .. math::
#
#    w \leftarrow w + \eta\,(s - z)\,x, \qquad b \leftarrow b + \eta\,(s - z).
#
# This is the gradient of the squared error :math:`(s - z)^2 / 2`, so Adaline is where gradient descent enters our
# story.

adaline = Adaline(learning_rate=0.05, epochs=30).fit(X, y)
print("mean squared error, first and last epoch:", np.round([adaline.errors_[0], adaline.errors_[-1]], 3))


def gap(unit):
    """Distance of the closest sample from the line; negative if one is on the wrong side."""
    normal, distance = unit.boundary()
    return float((signs * (X @ normal - distance)).min())


print(f"gap of the perceptron {gap(unit):.3f}")
print(f"gap of the adaline    {gap(adaline):.3f}")

figure, axes = plt.subplots(2, 1, figsize=(4.8, 7), layout="constrained", height_ratios=[3, 1.4])
nn.plot.decision_regions(adaline, X, y, axes[0])
axes[0].set_title("adaline")
axes[1].plot(range(1, 31), adaline.errors_)
axes[1].set_xlabel("epoch")
axes[1].set_ylabel("mean squared error")
axes[1].set_ylim(0)

# %%
# The error does not fall to 0, and need not: a line can't give *every* sample a logit of exactly -1 or 1. Adaline does
# not stop at the first line that works; it settles, and here its line keeps more distance from the samples.
#
# XOR
# ---
#
# Where no line separates the classes, the mistakes never end. The smallest example is XOR (chapter 1). Minsky and
# Papert studied such limits in 1969. Gallant's **pocket** makes the best of it: keep a copy of the weights that erred
# least.

corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
classes = np.array([0, 1, 1, 0])
pocket = Perceptron(max_epochs=100).fit(corners, classes)
accuracy = pocket.score(corners, classes)
print("mistakes in the last five epochs:", pocket.mistakes_[-5:])
print("separated:", pocket.separated_)
print(f"with the weights in the pocket {accuracy:.0%} are right")

ax = nn.plot.decision_regions(pocket, corners, classes)
ax.set_title("XOR: three of four is the best")
plt.show()

# %%
# A single line gets three corners right and no more. Chapter 1 showed the way out, neurons in two layers, but not how
# they could learn. That had to wait for chapter 4.
#
# Exercises
# ---------
#
# 1. Halve the gap (0.1 in place of 0.2). How do the bound and the number of mistakes change?
# 2. Give ``Adaline`` a learning rate of 1.5. What happens, and which bound does its documentation tell?
