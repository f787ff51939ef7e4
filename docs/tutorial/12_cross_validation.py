r"""
12. How strong? Cross-validation
================================

Chapter 11 left a question open: which :math:`\lambda`? It had 100 validation points beside 24 training points, which is
luxury; real data are few. **Cross-validation** lets every sample take part in both roles, and also tells how uncertain
the answer is.

**Sources.** M. Stone, *Cross-validatory choice and assessment of statistical predictions*, Journal of the Royal
Statistical Society B 36 (1974). L. Breiman, J. Friedman, R. Olshen and C. Stone, *Classification and regression trees*
(1984): the rule of one standard error. T. Hastie, R. Tibshirani and J. Friedman, *The elements of statistical learning*
(2009), section 7.10.
"""

# %%
# The data, and a promise
# -----------------------
#
# Two hundred samples with ten features, of which three matter. Two thousand more are put away, for the very end. In
# practice they would be fewer; we can afford to know the truth well.

import matplotlib.pyplot as plt
import numpy as np

import numbanet as nn

rng = np.random.default_rng(0)


def draw(n):
    X = rng.normal(size=(n, 10))
    y = np.tanh(2 * X[:, 0]) + 0.7 * X[:, 1] * (X[:, 2] > 0)
    return X, y + rng.normal(0, 0.3, n)


X, y = draw(200)
X_test, y_test = draw(2000)

# %%
# Folds
# -----
#
# Divide the samples into :math:`K` parts, the **folds**. For each :math:`\lambda` train :math:`K` networks, each on all
# folds but one, and measure the loss :math:`L_k(\lambda)` on the fold left out. The mean and its standard error are
#
# .. math::
#
#    \bar L(\lambda) = \frac{1}{K} \sum_{k=1}^{K} L_k(\lambda), \qquad
#    s(\lambda) = \frac{1}{\sqrt K} \sqrt{\frac{1}{K - 1} \sum_{k=1}^{K} \bigl(L_k(\lambda) - \bar L(\lambda)\bigr)^2}.
#
# ``nn.select_weight_decay`` does that. Here 13 strengths and 5 folds make 65 networks, which train side by side. Each
# is scored by its best epoch.

model = nn.Sequential([nn.Dense(24, "tanh"), nn.Dense(1)])
strengths = np.logspace(-4, 0, 13)
found = nn.select_weight_decay(
    model, X, y, loss="mean_squared_error", optimizer=nn.Adam(0.01),
    strengths=strengths, folds=5, epochs=300, patience=300, seed=0,
)
print(found.table())

# %%
# The rule of one standard error
# ------------------------------
#
# The lowest mean need not be the best choice, for its neighbours are as good within the error bars. Breiman and his
# colleagues therefore take the *simplest* model, that is the strongest penalty, whose mean is within one standard error
# of the best:
#
# .. math::
#
#    \lambda_{\text{chosen}} = \max \bigl\{ \lambda : \bar L(\lambda) \le \bar L(\lambda_{\text{best}})
#    + s(\lambda_{\text{best}}) \bigr\}.

best = int(np.argmin(found.means))
threshold = found.means[best] + found.errors[best]
print(f"best    λ = {found.best:.4f}, loss {found.means[best]:.3f} ± {found.errors[best]:.3f}")
print(f"chosen  λ = {found.chosen:.4f}, the largest below {threshold:.3f}")

ax = nn.plot.validation_curve(found.strengths, found.means, found.errors, found.chosen)

# %%
# To the left the network overfits, to the right it can't learn: the curve of chapter 10, with error bars. The dotted
# line is one standard error above the best. Both the best and the chosen strength lie well inside of what was tried. If
# they were at an end, one would have to try further.
#
# The folds differ
# ----------------
#
# Each thin line is one fold. They lie apart, as some samples are harder than others, but they bend alike. This is what
# one would miss with a single validation set: any one of these lines could have been it.

figure, ax = plt.subplots(figsize=(4.8, 3.8), layout="constrained")
ax.plot(found.strengths, found.scores, lw=0.8, marker=".")
ax.plot(found.strengths, found.means, "k", lw=2, label="mean")
ax.set_xscale("log")
ax.set_yscale("log")
ax.set_xlabel("λ")
ax.set_ylabel("validation loss")
ax.legend()
by_fold = found.strengths[found.scores.argmin(axis=0)]
print("best λ of each fold:", by_fold.round(4))

# %%
# The test, once
# --------------
#
# ``found.trainer`` has been trained on all 200 samples with the chosen :math:`\lambda`. Now, and only now, the test
# data. Who looks at them again and again while choosing turns them into validation data, and has no test left. For
# comparison, the same network without a penalty.

test_loss = found.trainer.evaluate(X_test, y_test)["loss"]
free = nn.Trainer(nn.Sequential(model.layers), "mean_squared_error", nn.Adam(0.01), seed=0)
free.fit(X, y, epochs=300, progress=False)
free_loss = free.evaluate(X_test, y_test)["loss"]
chosen_mean = found.means[found.strengths == found.chosen][0]
print(f"cross-validation said  {chosen_mean:.3f}")
print(f"test loss              {test_loss:.3f}")
print(f"without a penalty      {free_loss:.3f}")
print(f"noise                  {0.3**2:.3f}")

figure, ax = plt.subplots(figsize=(4.8, 3), layout="constrained")
names = ["without a penalty", "chosen λ"]
ax.barh(names, [free_loss, test_loss])
ax.axvline(0.09, color="grey", ls="--", lw=0.8, label="noise")
ax.set_xlabel("test loss")
ax.legend()

# %%
# The penalty more than halves the loss. The test loss is above what cross-validation said, and that is no accident: the
# score of a fold is that of its best epoch, which was found by looking at the same fold. Chosen numbers are too good to
# be true; only the test is not chosen.
#
# And what has it learnt? The first layer's weights, as lengths for each feature. Only the first three matter, and the
# network has found out.

lengths = np.linalg.norm(found.trainer.model.get_weights()[0], axis=1)
free_lengths = np.linalg.norm(free.model.get_weights()[0], axis=1)
figure, ax = plt.subplots(figsize=(4.8, 3.4), layout="constrained")
places = np.arange(1, 11)
ax.bar(places - 0.2, free_lengths / free_lengths.max(), 0.38, label="without a penalty")
ax.bar(places + 0.2, lengths / lengths.max(), 0.38, label="chosen λ")
ax.set_xticks(places)
ax.set_xlabel("feature")
ax.set_ylabel("length of its weights, relative")
ax.legend()
plt.show()

# %%
# That is the end of the tutorial, and the whole craft in small: a network, a gradient, a learning rate, a search, a
# penalty and an honest judge.
#
# Exercises
# ---------
#
# 1. Repeat with ``seed=1``, which deals other folds. Does the choice change by more than a neighbour?
# 2. Draw only 60 samples. What becomes of the error bars, and of the chosen :math:`\lambda`?
