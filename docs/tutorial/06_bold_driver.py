r"""
6. The bold driver
==================

Why choose a learning rate, if the error itself can tell whether a step was too large? The **bold driver** goes a little
faster as long as the error falls. When it rises, he takes the step back and brakes hard. We watch him beside a constant
rate, momentum and Adam.

**Sources.** T. P. Vogl, J. K. Mangis, A. K. Rigler, W. T. Zink and D. L. Alkon, *Accelerating the convergence of the
back-propagation method*, Biological Cybernetics 59 (1988). B. T. Polyak, *Some methods of speeding up the convergence
of iteration methods* (1964): momentum. D. P. Kingma and J. Ba, *Adam: a method for stochastic optimization* (2015).
"""

# %%
# The rule
# --------
#
# Let :math:`E` be the error over all samples before an epoch and :math:`E'` the error after it.
#
# .. math::
#
#    E' \le E: \quad \text{keep the weights,} \quad \eta \leftarrow 1.05\,\eta
#    \qquad\qquad
#    E' > E: \quad \text{take them back,} \quad \eta \leftarrow 0.5\,\eta
#
# In numbanet that is ``nn.BoldDriver()``, a schedule of the learning rate. An epoch is one step here, for all samples
# are one batch: with small batches the error rises by chance as well, and he would brake for nothing.

import matplotlib.pyplot as plt
import numpy as np

import numbanet as nn

X = np.linspace(-1, 1, 80)[:, np.newaxis]
y = np.sin(5 * X) + 0.3 * X


def learn(optimizer, epochs=600):
    """Error after each epoch, and the learning rates."""
    model = nn.Sequential([nn.Dense(12, "tanh"), nn.Dense(1)])
    trainer = nn.Trainer(model, "mean_squared_error", optimizer, dtype="float64", seed=0)
    errors = []
    record = nn.LambdaCallback(
        on_epoch_end=lambda t, e, logs: errors.append(t.loss_and_gradient(X, y)[0])
    )
    history = trainer.fit(X, y, epochs=epochs, batch_size=80, callbacks=[record],
                          progress=False)
    return np.array(errors), np.array(history["learning_rate"])


# %%
# From a bad beginning
# --------------------
#
# A constant rate of 50 is absurd; the loss is no longer a number after some steps. The bold driver begins with the same
# rate, and with a far too careful one.

exploded = False
try:
    learn(nn.SGD(50.0))
except FloatingPointError:
    exploded = True
print("constant rate of 50 explodes:", exploded)

starts = (50.0, 0.2, 0.001)
drivers = {start: learn(nn.SGD(start, schedule=nn.BoldDriver())) for start in starts}

figure, axes = plt.subplots(2, 1, figsize=(4.8, 6.4), layout="constrained", sharex=True)
for start, (errors, course) in drivers.items():
    axes[0].plot(errors, label=f"begins with {start:g}")
    axes[1].plot(course)
    print(f"begins with {start:5g}, ends with {course[-1]:.2f}: error {errors[-1]:.4f}")
axes[0].set_yscale("log")
axes[0].set_ylabel("error")
axes[0].legend()
axes[1].set_yscale("log")
axes[1].set_ylabel("learning rate")
axes[1].set_xlabel("epoch")

# %%
# Three beginnings that differ by a factor of 50,000, and after 200 epochs all drive at about the same speed. The rate
# looks like a saw: it climbs by 5 % an epoch until it is too large, is halved, and climbs again. So it feels for the
# largest rate that still works, and follows it as the loss surface changes. The error never rises:

errors, course = drivers[50.0]
rises = int((np.diff(errors) > 0).sum())
brakes = int((np.diff(course) < 0).sum()) + int(course[0] < 50)
print("epochs after which the error was higher:", rises)
print("epochs taken back:", brakes, "of", len(course))

# %%
# Beside the others
# -----------------
#
# * **Momentum** adds up gradients, :math:`v \leftarrow 0.9\,v + g` and :math:`w \leftarrow w - \eta v`. Across a valley
#   they cancel, along it they add up.
# * **Adam** divides the mean gradient of each weight by its usual size, so each weight has a step size of its own.
#
# Each has a rate of its own that suits it; they were found by trying some.

rivals = {
    "constant 0.1": nn.SGD(0.1),
    "bold driver": nn.SGD(0.1, schedule=nn.BoldDriver()),
    "momentum 0.9": nn.SGD(0.05, momentum=0.9),
    "Adam": nn.Adam(0.02),
}
results = {name: learn(optimizer)[0] for name, optimizer in rivals.items()}

figure, ax = plt.subplots(figsize=(4.8, 4), layout="constrained")
for name, errors in results.items():
    ax.plot(errors, label=name, lw=1)
    print(f"{name:13} error {errors[-1]:.4f}")
ax.set_yscale("log")
ax.set_xlabel("epoch")
ax.set_ylabel("error")
ax.legend()
plt.show()

# %%
# Be honest with what is seen. The bold driver is down long before the constant rate that he began with, and nobody had
# to search for a better one. But he has one speed for all weights and no memory of directions, so momentum and Adam,
# well set, go further. His place is training in full batches where nobody wants to tune anything.
#
# Exercises
# ---------
#
# 1. Try ``nn.BoldDriver(increase=1.5)``. How large is the part of the epochs that is taken back?
# 2. Train with ``batch_size=8`` in ``learn``. What does the learning rate do now, and why?
