"""The hooks through which plugins, the built-in ones included, hand over what they offer.

A plugin is a module with functions marked `hookimpl`, named by an entry point of the group ``numbanet``::

    [project.entry-points.numbanet]
    my_plugin = "my_plugin"
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

from numbanet.spec import Activation, Initializer, Loss, Metric, Optimizer, Regularizer, Schedule

if TYPE_CHECKING:
    from numbanet.layers import Layer

PROJECT = "numbanet"
API = 1  # version of the plugin interface, by which a plugin may say what it was written for

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def numbanet_activations() -> Iterable[Activation]:  # type: ignore[empty-body]
    """Activation functions.

    Examples
    --------
    >>> import math
    >>> import numbanet as nn
    >>> def gaussian(x):
    ...     return math.exp(-x * x)
    >>> @nn.hookimpl
    ... def numbanet_activations():
    ...     yield nn.Activation("gaussian", forward=gaussian)
    """


@hookspec
def numbanet_losses() -> Iterable[Loss]:  # type: ignore[empty-body]
    """Losses.

    Examples
    --------
    >>> import numbanet as nn
    >>> def quartic(output, target):
    ...     return (output - target) ** 4
    >>> @nn.hookimpl
    ... def numbanet_losses():
    ...     yield nn.Loss("quartic", loss=quartic)
    """


@hookspec
def numbanet_regularizers() -> Iterable[Regularizer]:  # type: ignore[empty-body]
    """Penalties and constraints of weights.

    Examples
    --------
    >>> import numbanet as nn
    >>> def weight_elimination(w, strength):
    ...     return strength * w * w / (1 + w * w)
    >>> @nn.hookimpl
    ... def numbanet_regularizers():
    ...     yield nn.Regularizer("weight_elimination", penalty=weight_elimination,
    ...                          params={"strength": 1e-4})
    """


@hookspec
def numbanet_optimizers() -> Iterable[Optimizer]:  # type: ignore[empty-body]
    """Update rules.

    Examples
    --------
    >>> import numbanet as nn
    >>> def heavy_ball(w, g, velocity, learning_rate, momentum):
    ...     velocity = momentum * velocity - learning_rate * g
    ...     return w + velocity, velocity
    >>> @nn.hookimpl
    ... def numbanet_optimizers():
    ...     yield nn.Optimizer("heavy_ball", update=heavy_ball, states={"velocity": 0},
    ...                        params={"learning_rate": 0.01, "momentum": 0.9})
    """


@hookspec
def numbanet_schedules() -> Iterable[Schedule]:  # type: ignore[empty-body]
    """Courses of the learning rate.

    Examples
    --------
    >>> import math
    >>> import numbanet as nn
    >>> def inverse_root(step, learning_rate):
    ...     return learning_rate / math.sqrt(1 + step)
    >>> @nn.hookimpl
    ... def numbanet_schedules():
    ...     yield nn.Schedule("inverse_root", rate=inverse_root)
    """


@hookspec
def numbanet_initializers() -> Iterable[Initializer]:  # type: ignore[empty-body]
    """Values of the weights before training.

    Examples
    --------
    >>> import numbanet as nn
    >>> def laplace(rng, shape, fan_in, fan_out, scale):
    ...     return rng.laplace(scale=scale, size=shape)
    >>> @nn.hookimpl
    ... def numbanet_initializers():
    ...     yield nn.Initializer("laplace", sample=laplace, params={"scale": 0.05})
    """


@hookspec
def numbanet_metrics() -> Iterable[Metric]:  # type: ignore[empty-body]
    """Figures of merit.

    Examples
    --------
    >>> import numbanet as nn
    >>> def largest_error(target, prediction, weight):
    ...     return abs(prediction - target).max()
    >>> @nn.hookimpl
    ... def numbanet_metrics():
    ...     yield nn.Metric("largest_error", compute=largest_error, greater_is_better=False)
    """


@hookspec
def numbanet_layers() -> Iterable[type[Layer]]:  # type: ignore[empty-body]
    """Classes of layers, which files with models name.

    Examples
    --------
    >>> import numbanet as nn
    >>> class Doubled(nn.Layer):
    ...     def build(self, graph):
    ...         graph.node("add", graph.output.shape, other=graph.output)
    >>> @nn.hookimpl
    ... def numbanet_layers():
    ...     yield Doubled
    """
