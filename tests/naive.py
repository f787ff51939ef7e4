"""A slow, obvious oracle of dense networks and their training, in float64.

Everything is written for one batch as in a textbook; the scalar formulas are the plugins' own, called
as the plain Python functions they are. Targets are rows, one a sample: see `one_hot`.
"""

import numpy as np


def one_hot(labels, classes):
    return np.eye(classes)[np.asarray(labels, int)]


def elementwise(formula, *arrays):
    return np.vectorize(formula, otypes=[float])(*arrays)


# -- the network ----------------------------------------------------------------------------


def unpack(model, params):
    """Views into the flat parameters: for every layer its kernel and its bias, or None."""
    views, offset, inputs = [], 0, model.graph.input.shape[0]
    for layer in model.layers:
        kernel = params[offset : offset + inputs * layer.units].reshape(inputs, layer.units)
        offset += kernel.size
        bias = params[offset : offset + layer.units] if layer.use_bias else None
        offset += layer.units if layer.use_bias else 0
        views.append((kernel, bias))
        inputs = layer.units
    assert offset == params.size
    return views


def activate(activation, x):
    params = activation.params.values()
    if not activation.row:
        return elementwise(lambda v: activation.forward(v, *params), x)
    y = np.empty_like(x)
    for i in range(len(x)):
        activation.forward(x[i], y[i], *params)
    return y


def activate_backward(activation, x, y, gradient):
    params = activation.params.values()
    if not activation.row:
        return gradient * elementwise(lambda v, u: activation.slope(v, u, *params), x, y)
    gradient = gradient.copy()
    for i in range(len(x)):
        activation.derivative(x[i], y[i], gradient[i], *params)
    return gradient


def predict(model, params, X):
    y = np.asarray(X, float)
    for layer, (kernel, bias) in zip(model.layers, unpack(model, params), strict=True):
        y = activate(layer.activation, y @ kernel + (0 if bias is None else bias))
    return y


# -- losses ---------------------------------------------------------------------------------


def sample_losses(loss, outputs, targets):
    """Loss of every sample, and its gradient with respect to the sample's outputs."""
    params = loss.params.values()
    if loss.row:
        gradient = np.empty_like(outputs)
        losses = [loss.loss(outputs[i], targets[i], gradient[i], *params) for i in range(len(outputs))]
        return np.array(losses), gradient
    losses = elementwise(lambda o, t: loss.loss(o, t, *params), outputs, targets)
    gradient = elementwise(lambda o, t: loss.slope(o, t, *params), outputs, targets)
    return losses.mean(axis=1), gradient / outputs.shape[1]


def data_loss(model, loss, params, X, targets, weights=None):
    """Weighted mean of the samples' losses; 0 where all weights are."""
    weights = np.ones(len(X)) if weights is None else np.asarray(weights, float)
    losses, _ = sample_losses(loss, predict(model, params, X), targets)
    return weights @ losses / (weights.sum() or 1)


def data_gradient(model, loss, params, X, targets, weights=None):
    """Gradient of `data_loss` with respect to the flat parameters, by backpropagation."""
    weights = np.ones(len(X)) if weights is None else np.asarray(weights, float)
    views, steps, x = unpack(model, params), [], np.asarray(X, float)
    for layer, (kernel, bias) in zip(model.layers, views, strict=True):
        z = x @ kernel + (0 if bias is None else bias)
        y = activate(layer.activation, z)
        steps.append((x, z, y))
        x = y
    _, delta = sample_losses(loss, x, targets)
    delta = delta * (weights / (weights.sum() or 1))[:, None]
    gradient = np.zeros_like(params)
    parts = unpack(model, gradient)
    for layer, (kernel, _), (x, z, y), (d_kernel, d_bias) in reversed(
        list(zip(model.layers, views, steps, parts, strict=True))
    ):
        delta = activate_backward(layer.activation, z, y, delta)
        d_kernel[:] = x.T @ delta
        if d_bias is not None:
            d_bias[:] = delta.sum(axis=0)
        delta = delta @ kernel.T
    return gradient


# -- regularizers ---------------------------------------------------------------------------


def regularized(model, regularizer, vector):
    """Pairs of a view of the vector and its rule: the layer's own, or else the common one."""
    pairs = []
    for layer, (kernel, bias) in zip(model.layers, unpack(model, vector), strict=True):
        pairs.append((kernel, layer.kernel_regularizer or regularizer))
        if bias is not None:
            common = regularizer if regularizer is not None and regularizer.biases else None
            pairs.append((bias, layer.bias_regularizer or common))
    return pairs


def penalty(model, regularizer, params):
    """Sum of all penalties, and its gradient."""
    value, gradient = 0.0, np.zeros_like(params)
    for (w, rule), (g, _) in zip(
        regularized(model, regularizer, params), regularized(model, regularizer, gradient), strict=True
    ):
        if rule is not None and rule.penalty is not None:
            values = rule.params.values()
            value += elementwise(lambda v, r=rule, p=values: r.penalty(v, *p), w).sum()
            g += elementwise(lambda v, r=rule, p=values: r.slope(v, *p), w)
    return value, gradient


def project(model, regularizer, params):
    """Constrain the weights that enter each unit, in place."""
    for w, rule in regularized(model, regularizer, params):
        if rule is not None and rule.project is not None:
            for column in w.reshape(-1, w.shape[-1]).T:
                rule.project(column, *rule.params.values())


def loss_and_gradient(model, loss, params, X, targets, weights=None, regularizer=None):
    value, gradient = penalty(model, regularizer, params)
    return (value + data_loss(model, loss, params, X, targets, weights),
            gradient + data_gradient(model, loss, params, X, targets, weights))


# -- training -------------------------------------------------------------------------------


class Stepper:
    """An optimiser's states, and its step, one parameter after the other."""

    def __init__(self, optimizer, model, size):
        self.optimizer, self.done = optimizer, 0
        self.states = np.repeat(np.array(list(optimizer.states.values()), float)[:, None], size, axis=1)
        is_bias = np.zeros(size)
        for _, bias in unpack(model, is_bias):
            if bias is not None:
                bias[:] = 1
        self.is_bias = is_bias == 1

    def rate(self, factor=1.0):
        base, schedule = self.optimizer.params["learning_rate"], self.optimizer.schedule
        if schedule is not None and schedule.rate is not None:
            base = schedule.rate(float(self.done), base, *schedule.params.values())
        return factor * base

    def clip(self, gradient):
        """Clip by value, then by the norm of all."""
        if self.optimizer.clip_value is not None:
            gradient = np.clip(gradient, -self.optimizer.clip_value, self.optimizer.clip_value)
        if self.optimizer.clip_norm is not None:
            gradient = gradient * min(1.0, self.optimizer.clip_norm / (np.linalg.norm(gradient) or 1.0))
        return gradient

    def step(self, params, gradient, factor=1.0):
        """Change the parameters in place."""
        optimizer = self.optimizer
        values = {**optimizer.params, "learning_rate": self.rate(factor)}
        self.done += 1
        shared = optimizer.coefficients(float(self.done), *values.values()) if optimizer.coefficients else ()
        gradient = self.clip(gradient)
        for i in range(params.size):
            own = {**values, **dict.fromkeys(optimizer.decay, 0.0)} if self.is_bias[i] else values
            result = optimizer.update(params[i], gradient[i], *self.states[:, i], *shared, *own.values())
            params[i], *self.states[:, i] = result if optimizer.states else (result,)


def train(model, loss, stepper, params, X, targets, *, batch, order=None, weights=None, regularizer=None, factor=1.0):
    """One epoch over the samples in the given order, in place; returns the mean of the batches' losses."""
    order = np.arange(len(X)) if order is None else order
    weights = np.ones(len(X)) if weights is None else np.asarray(weights, float)
    lost = 0.0
    for start in range(0, len(X), batch):
        rows = order[start : start + batch]
        part = X[rows], targets[rows], weights[rows]
        lost += data_loss(model, loss, params, *part) * weights[rows].sum()
        gradient = penalty(model, regularizer, params)[1] + data_gradient(model, loss, params, *part)
        stepper.step(params, gradient, factor)
        project(model, regularizer, params)
    return lost / weights.sum()
