r"""
11. Weight decay and early stopping
===================================

Two ways to hold a large network back. **Weight decay** charges a price for large weights. **Early stopping** ends
training when the validation loss no longer falls. We look at what each does to the curve, and to the weights.

**Sources.** A. E. Hoerl and R. W. Kennard, *Ridge regression: biased estimation for nonorthogonal problems*,
Technometrics 12 (1970). A. Krogh and J. A. Hertz, *A simple weight decay can improve generalization*, NIPS 4 (1991). N.
Morgan and H. Bourlard, *Generalization and parameter estimation in feedforward nets*, NIPS 2 (1989). L. Prechelt,
*Early stopping: but when?* (1998).
"""

# %%
# The price of weights
# --------------------
#
# Add to the loss a penalty for every weight, but not for biases:
#
# .. math::
#
#    L_\lambda(w) = L(w) + \frac{\lambda}{2} \sum_j w_j^2 .
#
# Its gradient is that of :math:`L` plus :math:`\lambda w`. A step of gradient descent becomes
#
# .. math::
#
#    w \leftarrow (1 - \eta\lambda)\, w - \eta \nabla L(w),
#
# so each weight shrinks by a constant factor unless the data hold against it; hence *decay*. Why should small weights
# help? A tanh unit with a large weight bends sharply between two points. Without large weights the curve can't follow
# the noise.
#
# The data are those of chapter 10, with 500 further points for the **test** at the end.

import matplotlib.pyplot as plt
import numpy as np

import numbanet as nn

rng = np.random.default_rng(1)


def draw(n):
    x = rng.uniform(-1, 1, (n, 1))
    return x, np.sin(4 * x) + rng.normal(0, 0.3, (n, 1))


X, y = draw(24)
X_val, y_val = draw(100)
X_test, y_test = draw(500)
grid = np.linspace(-1, 1, 400)[:, np.newaxis]


def train(strength, callbacks=()):
    layer = nn.Dense(64, "tanh", kernel_initializer=nn.RandomUniform(-6, 6),
                     bias_initializer=nn.RandomUniform(-4, 4))
    model = nn.Sequential([layer, nn.Dense(1)])
    trainer = nn.Trainer(model, "mean_squared_error", nn.Adam(0.01), seed=0,
                         regularizer=nn.L2(strength))
    trainer.fit(X, y, epochs=3000, batch_size=24, progress=False,
                validation_data=(X_val, y_val), callbacks=callbacks)
    return trainer


strengths = [0.0, 1e-4, 1e-3, 1e-2, 1e-1]
trained = {strength: train(strength) for strength in strengths}
print("λ        training  validation  mean |w|")
for strength, trainer in trained.items():
    weights = np.concatenate([w.ravel() for w in trainer.model.get_weights()[::2]])
    h = trainer.history
    print(f"{strength:<7g}  {h['loss'][-1]:8.3f}  {h['val_loss'][-1]:10.3f}  {np.abs(weights).mean():8.3f}")

# %%
# The training loss only rises with :math:`\lambda`; the price must be paid. The validation loss falls first and rises
# in the end, when the penalty leaves the network nothing to learn with.

figure, axes = plt.subplots(2, 1, figsize=(4.8, 7), layout="constrained")
for strength, color in zip((0.0, 1e-2, 1e-1), ("C3", "C0", "C2"), strict=True):
    axes[0].plot(grid, trained[strength].predict(grid), color, label=f"λ = {strength:g}")
    axes[1].plot(trained[strength].history["val_loss"], color, lw=1, label=f"λ = {strength:g}")
axes[0].plot(X, y, "o", color="black", ms=4)
axes[0].set_ylim(-2.2, 2.2)
axes[0].set_xticks([-1, -0.5, 0, 0.5, 1])
axes[0].legend(loc="lower right")
axes[1].set_yscale("log")
axes[1].set_xlabel("epoch")
axes[1].set_ylabel("validation loss")
axes[1].legend()

# %%
# With :math:`\lambda = 0.01` the curve is smooth, and its validation loss stays low: there is no hurry to stop.
#
# What it does to the weights
# ---------------------------
#
# Above without the penalty, below with :math:`\lambda = 0.01`; the layers are side by side. Mind the scales.

figure, axes = plt.subplots(2, 2, figsize=(6, 5.5), layout="constrained")
for row, strength in zip(axes, (0.0, 1e-2), strict=True):
    nn.plot.weight_histograms(trained[strength].model, row)
    row[0].set_title(f"first layer, λ = {strength:g}")
    row[1].set_title(f"second layer, λ = {strength:g}")

# %%
# Without the penalty the first layer's weights, which began between -6 and 6, are spread even wider. With it most
# weights go to almost 0, and few units do the work. The network has 64 units but uses as many as it needs.

largest = {s: np.abs(trained[s].model.get_weights()[0]) for s in (0.0, 1e-2)}
active = {s: int((w > 0.1).sum()) for s, w in largest.items()}
print("first-layer weights above 0.1:", active[0.0], "without,", active[1e-2], "with the penalty")

# %%
# Early stopping
# --------------
#
# The other way needs no penalty: watch the validation loss, and stop when it has not fallen for some epochs, the
# **patience**. ``nn.EarlyStopping`` then restores the weights of the best epoch.

stopping = nn.EarlyStopping(patience=100)
stopped = train(0.0, [stopping])
epochs = stopped.epochs_done
print(f"stopped after {epochs} epochs; best was epoch {stopping.best_epoch}")

ax = nn.plot.learning_curve(trained[0.0].history)
ax.axvline(stopping.best_epoch, color="black", ls="--", lw=0.8)
ax.set_xscale("log")
ax.set_yscale("log")
ax.set_title("the dashed line: weights that are kept")

# %%
# It is cheap: 168 epochs in place of 3000. And it is related to weight decay. Weights travel from their beginning, so a
# short journey bounds how far they get. A penalty holds them near 0, early stopping near where they began.
#
# A fair judge
# ------------
#
# Both ways have looked at the validation data: one chose :math:`\lambda` by it, the other the epoch. So its loss is a
# little too good to be true. The judge must be data that took part in nothing.

test = {
    "neither": trained[0.0].evaluate(X_test, y_test)["loss"],
    "weight decay 0.01": trained[1e-2].evaluate(X_test, y_test)["loss"],
    "early stopping": stopped.evaluate(X_test, y_test)["loss"],
}
for name, loss in test.items():
    print(f"{name:18} test loss {loss:.3f}")

figure, ax = plt.subplots(figsize=(4.8, 3), layout="constrained")
ax.barh(list(test), list(test.values()))
ax.axvline(0.09, color="grey", ls="--", lw=0.8, label="noise")
ax.set_xlabel("test loss")
ax.legend()
plt.show()

# %%
# Either remedy brings the loss close to the noise, below which nobody can get.
#
# Exercises
# ---------
#
# 1. Use ``nn.L1`` in place of ``nn.L2``. How do the histograms change?
# 2. Set ``patience=1``. What goes wrong, and why?
