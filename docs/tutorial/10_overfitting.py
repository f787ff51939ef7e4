r"""
10. Overfitting
===============

A network with enough units can learn anything by heart, noise included. Then it does well on what it has seen and badly
on what it has not. This chapter makes overfitting visible, first with polynomials and then with networks: over
capacity, and over time.

**Sources.** S. Geman, E. Bienenstock and R. Doursat, *Neural networks and the bias/variance dilemma*, Neural
Computation 4 (1992). T. Hastie, R. Tibshirani and J. Friedman, *The elements of statistical learning* (2009), chapter
7.
"""

# %%
# The data
# --------
#
# We see 24 points of a wave, with noise:
#
# .. math::
#
#    y = \sin(4x) + \varepsilon, \qquad \varepsilon \sim \mathcal{N}(0, 0.3^2).
#
# To learn from them is **training**. Another 100 points, the **validation** data, are for looking only. No prediction
# can have a mean squared error much below 0.09, the variance of the noise, on points that it has not seen.

import matplotlib.pyplot as plt
import numpy as np

import numbanet as nn

rng = np.random.default_rng(1)


def draw(n):
    x = rng.uniform(-1, 1, (n, 1))
    return x, np.sin(4 * x) + rng.normal(0, 0.3, (n, 1))


X, y = draw(24)
X_val, y_val = draw(100)
grid = np.linspace(-1, 1, 400)[:, np.newaxis]

# %%
# Polynomials
# -----------
#
# The capacity of a polynomial is its degree. Least squares finds the best one of each.


def powers(x, degree):
    return np.polynomial.legendre.legvander(x[:, 0], degree)


degrees = range(1, 16)
polynomial_train, polynomial_val, curves = [], [], {}
for degree in degrees:
    c = np.linalg.lstsq(powers(X, degree), y, rcond=None)[0]
    polynomial_train.append(np.mean((powers(X, degree) @ c - y) ** 2))
    polynomial_val.append(np.mean((powers(X_val, degree) @ c - y_val) ** 2))
    curves[degree] = powers(grid, degree) @ c

figure, axes = plt.subplots(2, 1, figsize=(4.8, 7), layout="constrained")
for degree in (1, 5, 15):
    axes[0].plot(grid, curves[degree], label=f"degree {degree}")
axes[0].plot(X, y, "o", color="black", ms=4)
axes[0].set_ylim(-2.2, 2.2)
axes[0].set_xticks([-1, -0.5, 0, 0.5, 1])
axes[0].legend(loc="lower right")
axes[1].plot(degrees, polynomial_train, "o-", label="training")
axes[1].plot(degrees, polynomial_val, "s-", label="validation")
axes[1].axhline(0.09, color="grey", ls="--", lw=0.8, label="noise")
axes[1].set_yscale("log")
axes[1].set_xlabel("degree")
axes[1].set_ylabel("mean squared error")
axes[1].legend()

# %%
# Degree 1 is too stiff for a wave: it **underfits**. Degree 5 is about right. Degree 15 goes close to every point and
# anywhere in between: it **overfits**. The training error falls with every degree, as it must, so it can't tell us
# where to stop. The validation error can.

best_degree = degrees[int(np.argmin(polynomial_val))]
print("degree with the least validation error:", best_degree)

# %%
# Networks
# --------
#
# Now one hidden layer of tanh units. Their number is the capacity. First weights are large on purpose, so that units
# bend within our interval rather than slowly learn to.


def train(units, epochs=3000):
    layer = nn.Dense(units, "tanh", kernel_initializer=nn.RandomUniform(-6, 6),
                     bias_initializer=nn.RandomUniform(-4, 4))
    model = nn.Sequential([layer, nn.Dense(1)])
    trainer = nn.Trainer(model, "mean_squared_error", nn.Adam(0.01), seed=0)
    trainer.fit(X, y, epochs=epochs, batch_size=24, progress=False,
                validation_data=(X_val, y_val))
    return trainer


sizes = [1, 2, 4, 8, 16, 32, 64, 128]
trained = {units: train(units) for units in sizes}
train_loss = [trained[units].history["loss"][-1] for units in sizes]
val_loss = [trained[units].history["val_loss"][-1] for units in sizes]
print("units  training  validation")
for row in zip(sizes, train_loss, val_loss, strict=True):
    print("{:5}  {:8.3f}  {:10.3f}".format(*row))

figure, axes = plt.subplots(2, 1, figsize=(4.8, 7), layout="constrained")
for units in (1, 4, 128):
    axes[0].plot(grid, trained[units].predict(grid), label=f"{units} unit{'s' * (units > 1)}")
axes[0].plot(X, y, "o", color="black", ms=4)
axes[0].set_ylim(-2.2, 2.2)
axes[0].set_xticks([-1, -0.5, 0, 0.5, 1])
axes[0].legend(loc="lower right")
axes[1].plot(sizes, train_loss, "o-", label="training")
axes[1].plot(sizes, val_loss, "s-", label="validation")
axes[1].axhline(0.09, color="grey", ls="--", lw=0.8, label="noise")
axes[1].set_xscale("log", base=2)
axes[1].set_yscale("log")
axes[1].set_xlabel("hidden units")
axes[1].set_ylabel("loss")
axes[1].legend()

# %%
# The same picture, less tidy, for where a network ends depends on where it began. One unit is too few; four do well.
# Large networks get below the noise on the training data. Whoever fits better than the noise allows has fitted the
# noise.
#
# Overfitting takes time
# ----------------------
#
# A polynomial is fitted at once. A network gets there on a way, and the way tells more. Here are the curves of the
# largest.

history = trained[128].history
ax = nn.plot.learning_curve(history)
ax.set_yscale("log")
ax.set_ylabel("loss")
least = history.best("val_loss")
gap = history["val_loss"][-1] - history["loss"][-1]
print(f"least validation loss {history['val_loss'][least]:.3f} after {history['epoch'][least]} epochs")
print(f"at the end {history['val_loss'][-1]:.3f}; the gap to the training loss is {gap:.3f}")
plt.show()

# %%
# Both curves fall together, while the network learns the wave. Then they part: the training loss goes on falling, the
# validation loss rises, while the network learns the noise. (The spikes are Adam's: where gradients have been tiny for
# long, it divides by almost nothing, and overshoots.) The least validation loss of 128 units is as good as that of
# four! A large network is not bad in itself. It must be held back, and the next chapter is about how.
#
# Exercises
# ---------
#
# 1. Draw 240 training points in place of 24. What becomes of the gap?
# 2. Take another seed in ``default_rng``. Which statements of this chapter survive, and which numbers change?
