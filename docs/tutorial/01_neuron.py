r"""
1. The artificial neuron
========================

A neuron of a network does two things. It adds up its inputs, each multiplied by a weight, and a bias. Then a function,
the activation, turns the sum into the output. This chapter computes one by hand, looks at activations, and goes back to
1943, when neurons were switches and already enough to build a computer.

**Sources.** W. S. McCulloch and W. Pitts, *A logical calculus of the ideas immanent in nervous activity*, Bulletin of
Mathematical Biophysics 5 (1943).
"""

# %%
# The weighted sum
# ----------------
#
# A neuron with inputs :math:`x_1, \dots, x_k`, weights :math:`w_1, \dots, w_k` and bias :math:`b` first computes its
# **logit** :math:`z`, then its output :math:`a`:
#
# .. math::
#
#    z = \sum_{i=1}^{k} w_i x_i + b, \qquad a = f(z).
#
# Here :math:`f` is the sigmoid, :math:`f(z) = 1 / (1 + e^{-z})`, which squeezes any number between 0 and 1.

import math

import matplotlib.pyplot as plt
import numpy as np

import numbanet as nn
from numbanet.classic import McCullochPittsNetwork, McCullochPittsNeuron, Neuron

neuron = Neuron(weights=[0, 1], bias=4)
x = [2, 3]
logit = neuron.logit(x)
output = neuron.feedforward(x)
print("logit ", logit)
print("output", output)

# %%
# By hand: :math:`0 \cdot 2 + 1 \cdot 3 + 4 = 7`, and the sigmoid of 7 is just below 1.

by_hand = 1 / (1 + math.exp(-(0 * 2 + 1 * 3 + 4)))
print("by hand", by_hand)

ax = nn.plot.neuron(neuron)

# %%
# Lines stand for weights: the thicker, the larger. The first weight is 0, so this neuron does not listen to its first
# input at all.
#
# Activations
# -----------
#
# Without the activation a neuron would only draw a straight line, and layers of them would be one straight line again.
# Four activations that have mattered:
#
# * **step**: 0 or 1, the neuron of 1943 and of the perceptron. Its derivative is 0 wherever it has one.
# * **sigmoid** :math:`1 / (1 + e^{-z})`: a step with soft edges, so that it can be differentiated.
# * **tanh**: the same shape between -1 and 1, steeper in the middle.
# * **relu** :math:`\max(0, z)`: cheap, and its derivative does not fade for large :math:`z`.

figure, axes = plt.subplots(2, 2, figsize=(6, 5.5), layout="constrained")
for ax, name in zip(axes.flat, ["step", "sigmoid", "tanh", "relu"], strict=True):
    nn.plot.activation(name, ax)

# %%
# Look at the derivatives, for learning goes by them (chapter 4). That of the sigmoid is at most 1/4 and almost 0 beyond
# :math:`\pm 4`: a neuron out there hardly learns. One says that it is **saturated**. Ours, with logit 7, is:

slope = output * (1 - output)
print(f"slope of the sigmoid at 7: {slope:.6f}")

# %%
# Neurons as logic, 1943
# ----------------------
#
# McCulloch and Pitts knew that a nerve cell fires or does not. Their neuron fires if
#
# * at least :math:`\theta` of its excitatory inputs are active, and
# * none of its inhibitory inputs is.
#
# :math:`\theta` is the threshold. The gates of logic are three such neurons.

AND = McCullochPittsNeuron(threshold=2)
OR = McCullochPittsNeuron(threshold=1)
NOT = McCullochPittsNeuron(threshold=0, inhibitory=[0])

pairs = [(0, 0), (0, 1), (1, 0), (1, 1)]
print("a b  AND OR  NOT a")
for a, b in pairs:
    print(f"{a} {b}   {AND([a, b])}   {OR([a, b])}    {NOT([a])}")

# %%
# One gate is missing. **XOR** fires if exactly one input is active, and no single neuron of this kind can do it: we can
# try them all, for a threshold above 2 never fires.

table = [0, 1, 1, 0]
tried = solved = 0
for threshold in range(4):
    for inhibitory in ([], [0], [1], [0, 1]):
        single = McCullochPittsNeuron(threshold, inhibitory)
        tried += 1
        solved += single(pairs).tolist() == table
print(f"{solved} of {tried} single neurons compute XOR")

# %%
# Three neurons in two layers can. Two look for one input alone, the third is an OR.

xor = McCullochPittsNetwork.xor()
answers = [xor.settle(a=a, b=b)["xor"] for a, b in pairs]
print("XOR", answers)

# %%
# The same trick adds numbers. A **half adder** adds two bits: the sum bit is an XOR, the carry an AND. Chains of adders
# are how a processor adds.

adder = McCullochPittsNetwork.half_adder()
sums = []
for a, b in pairs:
    bits = adder.settle(a=a, b=b)
    sums.append(2 * bits["carry"] + bits["sum"])
    print(f"{a} + {b} = {bits['carry']}{bits['sum']} in binary")

# %%
# A net that remembers
# --------------------
#
# A signal takes one step of time through a neuron. So a neuron can read its own output of a step ago, and what it
# excites itself with is a memory. This one has threshold 1. *set* and its own output excite it, *reset* inhibits it:
#
# .. math::
#
#    q(t + 1) = \bigl(\mathit{set}(t) \lor q(t)\bigr) \land \lnot \mathit{reset}(t).

signal_set = [0, 1, 0, 0, 0, 0, 0, 1, 0, 0]
signal_reset = [0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
latch = McCullochPittsNetwork.latch()
q = latch.run(set=signal_set, reset=signal_reset)["q"]
print("q", q)

figure, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
rows = (("q", q), ("reset", signal_reset), ("set", signal_set))
for height, (_, signal) in enumerate(rows):
    ends = np.arange(len(signal) + 1)
    ax.stairs(1.5 * height + np.array(signal), ends, baseline=1.5 * height, fill=True, alpha=0.7)
ax.set_yticks([0.5, 2, 3.5], [name for name, _ in rows])
ax.set_xlabel("time step")
ax.set_title("a latch, unrolled in time")
plt.show()

# %%
# *q* goes on one step after *set*, stays on by itself, and goes off one step after *reset*. With memory and logic a net
# can do what any finite machine can do; that was the point of the paper. What it could not do is learn: somebody had to
# choose every threshold. The next chapter changes that.
#
# Exercises
# ---------
#
# 1. Which weights and bias make ``Neuron`` an AND gate, with an output above 0.9 for (1, 1) and below 0.1 otherwise?
# 2. Build a full adder, which adds three bits, out of ``McCullochPittsNetwork`` and check all eight sums.
