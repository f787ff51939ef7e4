r"""
8. Convolution and the neocognitron
===================================

A dense layer sees an image as a list of numbers: move the image by a pixel, and all of them change. The visual cortex
does it otherwise. In 1980 Kunihiko Fukushima built a network after it, with local windows, shared weights and pooling,
which are the parts of every convolutional network since. It learns without labels and without backpropagation.

**Sources.** D. H. Hubel and T. N. Wiesel, *Receptive fields, binocular interaction and functional architecture in the
cat's visual cortex*, Journal of Physiology 160 (1962). K. Fukushima, *Neocognitron: a self-organizing neural network
model for a mechanism of pattern recognition unaffected by shift in position*, Biological Cybernetics 36 (1980).
"""

# %%
# Convolution
# -----------
#
# Slide a small window of weights :math:`a`, the **kernel**, over the image :math:`u`. At each place multiply and add:
#
# .. math::
#
#    z(n) = \sum_{i} a(i)\, u(n + i),
#
# where :math:`n` is a place and :math:`i` an offset in the window. Every place uses the same weights, so a feature is
# found wherever it is. The result is an image again, a **feature map**. Two kernels that look for edges:

import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import correlate2d

import numbanet as nn
from numbanet.datasets import load_digits, split

images, y = load_digits()
images = images.reshape(-1, 8, 8)
X, y, X_test, y_test = split(images, y, 1 / 3, seed=0, stratify=True)
digit = X[np.flatnonzero(y == 3)[0]]

upright = np.array([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]])
level = upright.T
maps = {
    "image": digit,
    "left and right edges": correlate2d(digit, upright, "same"),
    "upper and lower edges": correlate2d(digit, level, "same"),
}
figure, axes = plt.subplots(1, 3, figsize=(7, 2.6), layout="constrained")
for ax, (name, values) in zip(axes, maps.items(), strict=True):
    edges = name != "image"
    ax.imshow(values, cmap="RdBu" if edges else "gray", vmin=-3 if edges else 0, vmax=3 if edges else 1)
    ax.set_title(name, fontsize="medium")
    ax.set_axis_off()

# %%
# Blue is where the image grows brighter to the right, or downwards; red where it grows darker. Moving the digit moves
# the feature map with it, and changes nothing else.

moved = np.pad(digit, ((0, 0), (1, 0)))[:, :-1]
first = correlate2d(digit, upright, "valid")
second = correlate2d(moved, upright, "valid")
follows = np.allclose(first[:, :-1], second[:, 1:])
print("the map moves with the image:", follows)

# %%
# S-cells and C-cells
# -------------------
#
# Hubel and Wiesel found **simple cells**, which answer an edge at one place, and **complex cells**, which answer it
# anywhere near. Fukushima made layers of them, in planes that share their weights:
#
# * An **S-cell** extracts a feature. Beside the sum over its window there is inhibition :math:`v`, the root mean square
#   of what it sees, which divides:
#
#   .. math::
#
#      u_S = r \max\Bigl(0, \frac{1 + \sum a\,u}{1 + \frac{r}{1 + r}\, b\, v} - 1\Bigr).
#
#   So it answers the *shape* of a pattern rather than its brightness, and the selectivity :math:`r` says how picky it
#   is.
# * A **C-cell** averages over a small square of S-cells of its plane, :math:`e = \sum d\,u_S`. It tolerates small
#   shifts. It is inhibited by the mean of all planes, and saturates: :math:`u_C = \psi\bigl((1 + e)/(1 + \bar e) -
#   1\bigr)` with :math:`\psi(x) = x / (\alpha + x)` for positive :math:`x`, and 0 otherwise.
#
# Learning needs no labels. Where a pattern is shown, the strongest S-cell of a neighbourhood wins, and its whole plane
# learns what that cell sees. Planes that have learnt are silent at anything else, so a new pattern is won by a new
# plane.

model = nn.models.neocognitron(seed=0)
model.fit(X)  # no labels
print(model.summary())

# %%
# The 24 features which the first layer has found are little strokes, edges and ends of lines. Each tile is the window
# of one plane.

stage = model.layers[0]
figure, axes = plt.subplots(4, 6, figsize=(5, 3.6), layout="constrained")
for k, ax in enumerate(axes.flat):
    ax.imshow(stage.a[:, :, 0, k], cmap="cividis")
    ax.set_axis_off()
figure.suptitle("what S-cells of the first stage look for")

# %%
# One stage by hand
# -----------------
#
# The formulas above in NumPy, for our digit. The last line checks them against numbanet.

r, alpha = stage.stage.selectivity, stage.stage.saturation
share = r / (1 + r)
squares = correlate2d(digit**2, stage.c, "same")
s_maps, pooled = [], []
for k in range(24):
    excited = 1 + correlate2d(digit, stage.a[:, :, 0, k], "same")
    inhibited = 1 + share * stage.b[k] * np.sqrt(squares)
    s_maps.append(r * np.maximum(0, excited / inhibited - 1))
    pooled.append(correlate2d(s_maps[-1], stage.d, "same"))
x = np.maximum(0, (1 + np.array(pooled)) / (1 + np.mean(pooled, axis=0)) - 1)
c_maps = x / (alpha + x)

answer = stage.respond(digit[np.newaxis, :, :, np.newaxis])[0]
difference = np.abs(c_maps.transpose(1, 2, 0) - answer).max()
print(f"largest difference from numbanet: {difference:.1e}")

strongest = np.argsort([-m.max() for m in c_maps])[:4]
figure, axes = plt.subplots(3, 4, figsize=(5.6, 4.6), layout="constrained")
for column, k in zip(axes.T, strongest, strict=True):
    for ax, values in zip(column, (stage.a[:, :, 0, k], s_maps[k], c_maps[k]), strict=True):
        ax.imshow(values, cmap="cividis")
        ax.set_axis_off()
    column[0].set_title(f"plane {k}", fontsize="medium")
for ax, name in zip(axes[:, 0], ("feature", "S-cells", "C-cells"), strict=True):
    ax.set_axis_on()
    ax.set(xticks=[], yticks=[], ylabel=name)

# %%
# S-cells mark sharply where the feature is. C-cells blur: they say that it is *about there*. The second stage looks for
# patterns of these features, over the whole image, and blurs again.
#
# What the blur is good for
# -------------------------
#
# Now labels come in, not to train but to name: each plane of the last layer takes the label of most images that it
# answers strongest. The judge is 599 digits that were not learnt from, as they are and moved by a pixel. Beside it
# stands the simplest rival: the label of the most similar of 200 learnt images, pixel by pixel.

model.label(X, y)
shifted = np.pad(X_test, ((0, 0), (0, 0), (1, 0)))[:, :, :-1]

some = np.random.default_rng(0).permutation(len(X))[:200]
patterns = X[some].reshape(200, -1)
patterns = patterns / np.linalg.norm(patterns, axis=1, keepdims=True)


def nearest(images):
    return y[some][(images.reshape(len(images), -1) @ patterns.T).argmax(axis=1)]


accuracy = {}
for name, predict in (("neocognitron", model.predict), ("nearest image", nearest)):
    accuracy[name] = [(predict(u) == y_test).mean() for u in (X_test, shifted)]
    print(f"{name:13}  {accuracy[name][0]:.1%}, moved {accuracy[name][1]:.1%}")

figure, ax = plt.subplots(figsize=(4.8, 3.2), layout="constrained")
for offset, (name, values) in zip((-0.2, 0.2), accuracy.items(), strict=True):
    ax.bar(np.arange(2) + offset, values, 0.38, label=name)
ax.set_xticks([0, 1], ["where they lie", "moved by a pixel"])
ax.set_ylabel("read correctly")
ax.set_ylim(0, 1.2)
ax.legend(loc="upper center", ncols=2)
plt.show()

# %%
# Where the digits lie, both read about equally well. One pixel further the comparison of pixels breaks down, and the
# neocognitron hardly notices. What it lacks is a goal: its features are what is frequent, not what tells digits apart.
# Nine years later LeCun put backpropagation into such a network.
#
# Exercises
# ---------
#
# 1. Move the digits by two pixels. Who fails now, and why is that no surprise?
# 2. Lower the selectivity of the first stage (``dataclasses.replace(model.stages[0], selectivity=2)``). How do the
#    features change?
