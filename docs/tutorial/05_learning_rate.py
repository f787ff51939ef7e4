r"""
5. The learning rate
====================

Backpropagation gives the direction in which the loss falls fastest. How far to go is the **learning rate**
:math:`\eta`. It is the one number that most often decides between success and failure, and in a simple case one can
calculate where the trouble begins.

**Sources.** A. Cauchy, *Méthode générale pour la résolution des systèmes d'équations simultanées* (1847): gradient
descent. H. Robbins and S. Monro, *A stochastic approximation method*, Annals of Mathematical Statistics 22 (1951):
rates that fall. Y. LeCun, L. Bottou, G. Orr and K.-R. Müller, *Efficient BackProp* (1998).
"""

# %%
# A valley
# --------
#
# Take one unit with two weights, no bias and no activation. Its mean squared error is a bowl over the plane of weights.
# The second input is small, so the bowl is a long valley: steep across, flat along. Gradient descent repeats
#
# .. math::
#
#    w \leftarrow w - \eta \, \nabla L(w).

import textwrap

import matplotlib.pyplot as plt
import numpy as np

import numbanet as nn

rng = np.random.default_rng(0)
X = rng.normal(size=(100, 2)) * [1.0, 0.3]
y = X @ [1.0, 2.0] + rng.normal(0, 0.1, 100)


def descend(rate, epochs=40):
    """Weights on the way, the losses, and the trainer."""
    model = nn.Sequential([nn.Dense(1, use_bias=False)])
    trainer = nn.Trainer(
        model, "mean_squared_error", nn.SGD(rate), dtype="float64"
    )
    model.build((2,), dtype="float64")
    model.parameters[:] = [-1.5, -1.0]
    path = [model.parameters.copy()]
    record = nn.LambdaCallback(
        on_epoch_end=lambda t, e, logs: path.append(t.model.parameters.copy())
    )
    trainer.fit(X, y, epochs=epochs, batch_size=100, callbacks=[record],
                progress=False)
    losses = [trainer.loss_and_gradient(X, y, w)[0] for w in path]
    return path, losses, trainer


# %%
# The limit
# ---------
#
# For a bowl the limit is known. The matrix of second derivatives is :math:`H = \frac{2}{n} X^\top X`. Along its
# eigenvector with eigenvalue :math:`\lambda`, each step multiplies the distance from the minimum by
# :math:`1 - \eta\lambda`. So the distance shrinks in all directions if, and only if,
#
# .. math::
#
#    0 < \eta < \frac{2}{\lambda_{\max}}.

eigenvalues = np.linalg.eigvalsh(2 * X.T @ X / len(X))
limit = 2 / eigenvalues[-1]
print("eigenvalues", eigenvalues.round(3))
print(f"limit of the learning rate {limit:.3f}")

rates = {"too small": 0.02, "about right": 0.85, "too large": 1.02 * limit}
runs = {name: descend(rate) for name, rate in rates.items()}
for name, (_, losses, _) in runs.items():
    print(f"{name:12} rate {rates[name]:.3f}: loss {losses[0]:.3f} -> {losses[-1]:.3f}")

# %%
# Here are the three ways over the bowl. The minimum is near (1, 2); the white circle is where a way ends. Mind the
# scales.

figure, axes = plt.subplots(3, 1, figsize=(5, 10), layout="constrained")
for ax, (name, (path, _, trainer)) in zip(axes, runs.items(), strict=True):
    nn.plot.loss_surface(trainer, X, y, ax, path=path, span=3)
    ax.set_xlabel("first weight")
    ax.set_ylabel("second weight")
    ax.set_title(f"{name}: {rates[name]:.3g}")

# %%
# Too small, and 40 epochs don't get far. Too large, and each step crosses the valley and lands higher on the other
# side. About right, it zigzags across the valley and still creeps along it: no single rate suits both directions. Here
# that is only a question of the scale of an input, and a good reason to **bring inputs to the same scale**.

scaled = X / X.std(axis=0)
before = eigenvalues[-1] / eigenvalues[0]
after = np.linalg.eigvalsh(2 * scaled.T @ scaled / len(X))
after = after[-1] / after[0]
print(f"steepest / flattest: {before:.1f}, with scaled inputs {after:.1f}")

figure, ax = plt.subplots(figsize=(4.8, 3.6), layout="constrained")
for name, (_, losses, _) in runs.items():
    ax.plot(losses, label=f"{name}: {rates[name]:.3g}")
ax.set_yscale("log")
ax.set_xlabel("epoch")
ax.set_ylabel("loss")
ax.legend()

# %%
# When it blows up
# ----------------
#
# Far beyond the limit the loss grows in each epoch by a constant factor, until the numbers end. numbanet stops there,
# and says so.

diverged = ""
try:
    descend(2 * limit, epochs=1000)
except FloatingPointError as error:
    diverged = str(error)
print(textwrap.fill(diverged, 60))

# %%
# A network is no bowl: its curvature changes on the way, and so does the limit. The eigenvalues are seldom known. The
# practical rule is to try rates by factors of 3 or 10 and to take the largest that trains smoothly.
#
# Schedules
# ---------
#
# With small batches the gradient is noisy, for each batch knows only a part of the data. Then a constant rate does not
# come to rest: the weights go on trembling around the minimum, the more the larger the rate. So begin large, to travel,
# and end small, to settle. That is a **schedule**. We measure how far the loss is above the least possible one.

least = np.linalg.lstsq(X, y, rcond=None)[0]
minimum = np.mean((X @ least - y) ** 2)
steps = 40 * 25  # 40 epochs of 25 batches


def noisy_descent(schedule):
    model = nn.Sequential([nn.Dense(1, use_bias=False)])
    trainer = nn.Trainer(
        model, "mean_squared_error", nn.SGD(0.3, schedule=schedule),
        dtype="float64", seed=1,
    )
    excess = []
    record = nn.LambdaCallback(
        on_epoch_end=lambda t, e, logs: excess.append(t.loss_and_gradient(X, y)[0] - minimum)
    )
    history = trainer.fit(X, y, epochs=40, batch_size=4, callbacks=[record],
                          progress=False)
    return excess, history["learning_rate"]


schedules = {
    "constant": None,
    "exponential": nn.ExponentialDecay(steps, decay_rate=0.01),
    "cosine": nn.CosineDecay(steps),
}
figure, axes = plt.subplots(2, 1, figsize=(4.8, 6), layout="constrained", sharex=True)
excesses = {}
for name, schedule in schedules.items():
    excesses[name], course = noisy_descent(schedule)
    axes[0].plot(range(1, 41), course, label=name)
    axes[1].plot(range(1, 41), excesses[name], label=name)
    print(f"{name:12} loss above the least {excesses[name][-1]:.1e}")
axes[0].set_ylabel("learning rate")
axes[1].set_ylabel("loss above the least")
axes[1].set_yscale("log")
axes[1].set_xlabel("epoch")
axes[0].legend()
plt.show()

# %%
# The constant rate stays where the noise keeps it. The others end lower by orders of magnitude.
#
# Exercises
# ---------
#
# 1. Use ``scaled`` inputs in place of ``X``. What is the new limit, and how many epochs does a good rate need?
# 2. Draw the final loss of ``descend`` over rates from 0.01 to 1.2. Where is the minimum? Compare with
#    :math:`2 / (\lambda_{\min} + \lambda_{\max})`.
