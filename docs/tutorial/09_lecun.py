r"""
9. Convolution that learns from its errors
==========================================

In 1989 Yann LeCun and his colleagues at Bell Labs trained a network of local windows and shared weights by
backpropagation, and it read handwritten zip codes. It is the ancestor of all convolutional networks. Here it is, with
the sizes of the paper, on the small digits that come with scikit-learn.

**Sources.** Y. LeCun, B. Boser, J. S. Denker, D. Henderson, R. E. Howard, W. Hubbard and L. D. Jackel, *Backpropagation
applied to handwritten zip code recognition*, Neural Computation 1 (1989). K. Simonyan, A. Vedaldi and A. Zisserman,
*Deep inside convolutional networks: visualising image classification models and saliency maps* (2014).
"""

# %%
# Data
# ----
#
# The network takes 16 x 16 pixels from -1 to 1. Our digits have 8 x 8, so each pixel becomes a square of four. Targets
# are 1 for the right class and -1 for the nine others, as in the paper. A third of the digits is held out.

import matplotlib.pyplot as plt
import numpy as np

import numbanet as nn
from numbanet.datasets import load_digits, split

X, y = load_digits(images=True)
X = 2 * X.repeat(2, axis=1).repeat(2, axis=2) - 1
X, y, X_test, y_test = split(X, y, 1 / 3, seed=0, stratify=True)
print(len(X), "digits to learn from,", len(X_test), "held out")


def targets(labels):
    return 2.0 * np.eye(10)[labels] - 1


# %%
# The network
# -----------
#
# Two layers of convolution, H1 and H2, with 12 feature maps each and windows of 5 x 5; then 30 units, then 10. The
# windows move by two pixels, which halves the sides of the image. In map :math:`k`
#
# .. math::
#
#    a_k(n) = \tanh\Bigl(\sum_{m, i} w_k(m, i)\, u_m(2n + i) + b_k(n)\Bigr).

model = nn.models.lecun1989()
model.build((16, 16, 1), seed=0)
print(model.summary())

# %%
# Compare the columns *parameters* and *connections*. H1 has 19,968 connections but only 1,068 parameters, for all 64
# windows of a map share their 25 weights; only the biases are each unit's own. **Weight sharing** has two effects:
# there is less to learn from few images, and a feature that is learnt in one place is known everywhere. What would H1
# cost without?

shared = sum(p.count for p in model.graph.parameters if p.name.startswith("0."))
unshared = 8 * 8 * 12 * (25 + 1)  # 768 units with 25 weights and a bias
dense = 8 * 8 * 12 * (16 * 16 + 1)  # each unit sees all pixels
print(f"shared weights        {shared:7,}")
print(f"windows of their own  {unshared:7,}")
print(f"fully connected       {dense:7,}")

# %%
# Training
# --------
#
# As in the paper: the mean squared error, and **on-line** learning, one image a step.

trainer = nn.Trainer(model, "mean_squared_error", nn.SGD(0.05), seed=0)
history = trainer.fit(
    X, targets(y), epochs=20, batch_size=1, progress=False,
    validation_data=(X_test, targets(y_test)),
)
predicted = trainer.predict(X_test).argmax(axis=1)
accuracy = (predicted == y_test).mean()
print(f"{accuracy:.1%} of the held-out digits are read correctly")
ax = nn.plot.learning_curve(history)

# %%
# In the paper 5.0 % of the test digits were misread, of a much harder set. Which mistakes are left? Rows of the
# **confusion matrix** are true labels, columns are what the network says.

figure, ax = plt.subplots(figsize=(5, 4.6), layout="constrained")
ax = nn.plot.confusion_matrix(y_test, predicted, ax)

# %%
# What it has learnt
# ------------------
#
# These are the 12 windows of the first layer; blue is positive, red negative. Nobody told it to, but it looks for edges
# of several directions, and for spots.

ax = nn.plot.filters(model)

# %%
# And this is what they make of one digit: 12 feature maps of 8 x 8. Some follow the stroke, some its left or right
# side, some answer the background.

one = int(np.flatnonzero((y_test == 3) & (predicted == 3))[0])
ax = nn.plot.feature_maps(model, X_test[one], layer=0)

# %%
# Fukushima's S-cells and these units are close relatives. The difference is where the weights came from: from what is
# frequent there, from what lowers the error here.
#
# Where does it look?
# -------------------
#
# Backpropagation does not have to stop at the weights. It can go on to the pixels, :math:`\partial a_3 / \partial x`:
# how much would the output for "3" change with each pixel? That is a **saliency map** (Simonyan and others, 2014).

figure, axes = plt.subplots(1, 2, figsize=(6, 3.2), layout="constrained")
axes[0].imshow(X_test[one, :, :, 0], cmap="gray")
axes[0].set_title("digit")
axes[0].set_axis_off()
ax = nn.plot.saliency(model, X_test[one], output=3, ax=axes[1])
plt.show()

# %%
# It is a derivative, no more: it tells what the output is sensitive to near this image, not why the network decided.
#
# Exercises
# ---------
#
# 1. Move the test digits by one pixel of the 8 x 8 grid (``np.roll(X_test, 2, axis=2)``). How does the accuracy compare
#    with the neocognitron's in chapter 8? How if the network also learns from moved digits?
# 2. Which digits are misread? Draw them with ``plt.imshow``, and say whether you would have read them.
