r"""
4. Backpropagation, one step at a time
======================================

XOR needs neurons in two layers. How should a hidden neuron know what it did wrong, when only the output has a target?
The answer is the chain rule, applied from the output back to the input. This chapter shows every number of one step,
and checks it twice: by hand, and by finite differences.

**Sources.** S. Linnainmaa, *The representation of the cumulative rounding error of an algorithm as a Taylor expansion
of the local rounding errors*, master's thesis, Helsinki (1970): the method itself. P. Werbos, *Beyond regression*, PhD
thesis, Harvard (1974), thought of it for learning. D. E. Rumelhart, G. E. Hinton and R. J. Williams, *Learning
representations by back-propagating errors*, Nature 323 (1986), made it known.
"""

# %%
# The network
# -----------
#
# Two inputs, two hidden units, one output: 2-2-1. All units are sigmoids :math:`\sigma`. For a row :math:`x` of inputs,
#
# .. math::
#
#    z_1 = x W_1 + b_1, \quad a_1 = \sigma(z_1), \qquad
#    z_2 = a_1 W_2 + b_2, \quad a_2 = \sigma(z_2),
#
# and the loss of a sample with target :math:`t` is the squared error :math:`L = (a_2 - t)^2`. That makes nine
# parameters: six weights and three biases.

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import approx_fprime

import numbanet as nn

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
t = np.array([[0], [1], [1], [0]], float)

model = nn.Sequential([nn.Dense(2, "sigmoid"), nn.Dense(1, "sigmoid")])
rate = 2.0
trainer = nn.Trainer(
    model, "mean_squared_error", nn.SGD(rate, momentum=0.9),
    dtype="float64", seed=0,
)

# %%
# One sample, all numbers
# -----------------------
#
# ``trainer.trace`` shows one step of training without taking it. We give it the sample (1, 0), whose target is 1.

step = trainer.trace(X[2:3], t[2:3])
print(step)

# %%
# Read it from top to bottom. ``0.dense`` is :math:`z_1`, ``0.activation`` is :math:`a_1`, then the same for layer 1,
# then the loss: the **forward pass**. ``d`` means derivative of the loss with respect to what follows; these come in
# reverse order, from the output to the input: the **backward pass**. At the end are the parameters, their gradient, and
# what the optimiser would make of them.
#
# The backward pass by hand
# -------------------------
#
# Each line multiplies what came from behind by one local derivative. The sigmoid's is :math:`a (1 - a)`.
#
# .. math::
#
#    \frac{\partial L}{\partial a_2} = 2 (a_2 - t), \quad
#    \frac{\partial L}{\partial z_2} = \frac{\partial L}{\partial a_2}\, a_2 (1 - a_2), \quad
#    \frac{\partial L}{\partial a_1} = \frac{\partial L}{\partial z_2}\, W_2^\top, \quad
#    \frac{\partial L}{\partial z_1} = \frac{\partial L}{\partial a_1}\, a_1 (1 - a_1)
#
# and then, for the parameters,
#
# .. math::
#
#    \frac{\partial L}{\partial W_2} = a_1^\top \frac{\partial L}{\partial z_2}, \qquad
#    \frac{\partial L}{\partial W_1} = x^\top \frac{\partial L}{\partial z_1}.


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


W1, b1, W2, b2 = model.get_weights()
x, target = X[2:3], t[2:3]
a1 = sigmoid(x @ W1 + b1)
a2 = sigmoid(a1 @ W2 + b2)

d_a2 = 2 * (a2 - target)
d_z2 = d_a2 * a2 * (1 - a2)
d_a1 = d_z2 @ W2.T
d_z1 = d_a1 * a1 * (1 - a1)
by_hand = {
    "d 0.kernel": x.T @ d_z1, "d 0.bias": d_z1[0],
    "d 1.kernel": a1.T @ d_z2, "d 1.bias": d_z2[0],
}

differences = {n: np.abs(step[n] - v).max() for n, v in by_hand.items()}
for name, value in differences.items():
    print(f"{name}: differs by {value:.1e}")

# %%
# The step itself is ordinary gradient descent, for momentum (chapter 6) plays no part in the first step:
# :math:`W \leftarrow W - \eta \, \partial L / \partial W`.

after = W2 - rate * by_hand["d 1.kernel"]
print("by hand ", after.ravel())
print("trace   ", step["1.kernel after"].ravel())

# %%
# The check that needs no formula
# -------------------------------
#
# A derivative says how much the loss changes when a parameter changes a little. So change each parameter a little, and
# look: **finite differences**. It takes one more evaluation of the loss for each parameter, so it is no way to train
# millions of weights. Backpropagation gets them all for about the price of a few evaluations; that is why it won. But
# as a test of a gradient nothing is better. This time for all four samples:

loss, gradient = trainer.loss_and_gradient(X, t)
start = model.parameters.copy()
finite = approx_fprime(
    start, lambda p: trainer.loss_and_gradient(X, t, p)[0], 1e-7
)
print("parameter   backpropagation  differences")
names = ["W1[0,0]", "W1[0,1]", "W1[1,0]", "W1[1,1]", "b1[0]", "b1[1]",
         "W2[0]", "W2[1]", "b2"]
for name, exact, approximate in zip(names, gradient, finite, strict=True):
    print(f"{name:10}  {exact:15.8f}  {approximate:11.8f}")
agreement = np.abs(gradient - finite).max()
print(f"largest difference {agreement:.1e}")

# %%
# Learning XOR
# ------------
#
# One step more, and another 499. An epoch is one step here, for all four samples are one batch.

history = trainer.fit(X, t, epochs=500, batch_size=4, progress=False)
outputs = trainer.predict(X).ravel()
print("outputs", outputs.round(3))

figure, axes = plt.subplots(2, 1, figsize=(4.8, 7), layout="constrained", height_ratios=[1, 1.7])
nn.plot.learning_curve(history, axes[0])
nn.plot.decision_regions(trainer, X, t.ravel().astype(int), axes[1])

# %%
# For a while next to nothing happens: the outputs are all near 1/2 and the gradients nearly cancel. Then the hidden
# units part, and the loss falls. What has the network found? The lines show its weights, blue where positive and red
# where negative.

ax = nn.plot.network(model)
hidden = sigmoid(X @ model.get_weights()[0] + model.get_weights()[1])
print("x1 x2  hidden 1  hidden 2  output")
for row, h, o in zip(X.astype(int), hidden, outputs, strict=True):
    print(f" {row[0]}  {row[1]}      {h[0]:.2f}      {h[1]:.2f}    {o:.2f}")
plt.show()

# %%
# Read the table as logic. Each hidden unit has become a gate of chapter 1, and nobody has told it to.
#
# Exercises
# ---------
#
# 1. Try the seeds 1 to 11. Two of them get stuck with two of the four outputs at 1/2. Chapter 7 is about that.
# 2. Set all weights to 0 before training (``model.parameters[:] = 0`` behind the trace). Which numbers of the trace
#    tell you that the two hidden units will stay equal for ever?
