"""Multi-layer perceptron for regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from numbanet.callbacks import Callback
from numbanet.sklearn.base import keep
from numbanet.sklearn.constraints import HIDDEN, NUMBANET, SCIKIT_LEARN, Named
from numbanet.sklearn.mlp import Hidden
from numbanet.sklearn.regressor import Regressor
from numbanet.spec import Activation, Loss, Optimizer, Regularizer, Schedule


class MLPRegressor(Hidden, Regressor):
    """Multi-layer perceptron that predicts numbers, with the interface of `sklearn.neural_network.MLPRegressor`.

    Parameters up to ``max_fun`` and all attributes have scikit-learn's meaning; the defaults of the others change
    nothing.

    Parameters
    ----------
    loss : str or Loss, default='squared_error'
        What is minimised: 'squared_error' or 'poisson', which is half the deviance and predicts the exponential of
        the outputs, or any loss of numbanet.
    hidden_layer_sizes : int or array_like of int, default=(100,)
        Units of each hidden layer.
    activation : str, Activation or sequence of them, default='relu'
        Of the hidden layers, or of each: 'identity', 'logistic', 'tanh', 'relu', or any of numbanet.
    solver : {'adam', 'sgd', 'lbfgs'}, default='adam'
        How the weights are found; 'lbfgs' takes all samples at once.
    alpha : float, default=0.0001
        Strength of the L2 penalty of the weights, divided by the samples of a batch.
    batch_size : int or 'auto', default='auto'
        Samples of a step; 'auto' is ``min(200, n_samples)``.
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        Course of the rate for 'sgd'. 'invscaling' divides it by ``t_ ** power_t``. 'adaptive' divides it by 5 where
        training would stop, until it is below 1e-6.
    learning_rate_init : float, default=0.001
        Learning rate at the beginning.
    power_t : float, default=0.5
        Exponent of 'invscaling'.
    max_iter : int, default=200
        Epochs, or iterations of 'lbfgs', at most.
    shuffle : bool, default=True
        Whether each epoch visits the samples in a new order.
    random_state : int, RandomState or None, default=None
        Decides first weights, samples held out, order and noise.
    tol : float, default=1e-4
        What the loss or the validation score must improve by.
    verbose : bool, default=False
        Whether each epoch prints its loss.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last call.
    momentum : float, default=0.9
        Part of the velocity that a step of 'sgd' keeps.
    nesterovs_momentum : bool, default=True
        Whether the velocity is Nesterov's.
    early_stopping : bool, default=False
        Whether samples are held out, and the weights kept that score best on them.
    validation_fraction : float, default=0.1
        Part of the samples held out.
    beta_1, beta_2 : float, default=0.9, 0.999
        Part of the mean gradient, and of its mean square, that a step of 'adam' keeps.
    epsilon : float, default=1e-8
        Added to the root mean square by 'adam'.
    n_iter_no_change : int, default=10
        Epochs without improvement after which training stops.
    max_fun : int, default=15000
        Calls of the loss by 'lbfgs' at most.
    out_activation : str or Activation, optional
        Activation of the output layer, for losses that are not computed on logits.
    optimizer : str or Optimizer, optional
        Replaces ``solver``; one given by name has ``learning_rate_init``.
    schedule : str or Schedule, optional
        Course of the learning rate, step by step.
    regularizer : str or Regularizer, optional
        Replaces ``alpha``; its penalty is divided by the samples of a batch, too.
    dropout : float or array_like of float, default=0.0
        Probability that training drops a unit, in all hidden layers or in each.
    batch_norm : bool, default=False
        Whether hidden layers normalize batches before their activation.
    callbacks : Callback or sequence of Callback, optional
        Called after each epoch.
    device : {'cpu', 'cuda', 'auto'} or CUDA, default='cpu'
        Where to train.
    dtype : {'float32', 'float64'}, optional
        Working type; that of ``X`` by default, with 'lbfgs' float64.
    n_threads : int, optional
        Threads at most; by default one a core, in a worker process of joblib its share, in a worker thread one.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Weights of shape (inputs, units) and biases of each layer; views of the model's parameters.
    model_ : Sequential
        The network.
    loss_ : float
        Loss of the last epoch.
    loss_curve_ : list of float
        Loss of each epoch, with penalties.
    best_loss_ : float or None
        Least of them, where there is no early stopping.
    validation_scores_ : list of float or None
        Coefficient of determination on the samples held out after each epoch, where there is early stopping.
    best_validation_score_ : float or None
        Best of them.
    validation_curve_ : list of float
        Loss on ``validation_data`` after each epoch, where they are given.
    t_ : int
        Samples trained on, counted in each epoch.
    n_iter_ : int
        Epochs, or iterations.
    n_layers_, n_outputs_ : int
        Layers with the input, and outputs.
    out_activation_ : str
        Activation of the outputs.
    n_features_in_ : int
        Features of a sample.
    feature_names_in_ : ndarray of shape (features,)
        Names of features, where ``X`` has such.

    See Also
    --------
    MLPClassifier : The same for labels.
    NetRegressor : The same for any layers.

    Notes
    -----
    First weights and the samples held out are those of scikit-learn for the same ``random_state``; the order of
    samples is not. Sparse samples are made dense. With
    several targets scikit-learn's squared error is their mean, but its gradient is that of their sum, and so it is
    here. Hinton, Connectionist learning procedures (1989).
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **SCIKIT_LEARN, **NUMBANET, **HIDDEN, "loss": [Named("loss", "squared_error")],
    }  # fmt: skip

    def __init__(
        self,
        loss: str | Loss = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str | Activation | Sequence[str | Activation] = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        out_activation: str | Activation | None = None,
        optimizer: str | Optimizer | None = None,
        schedule: str | Schedule | None = None,
        regularizer: str | Regularizer | None = None,
        dropout: float | Sequence[float] = 0.0,
        batch_norm: bool = False,
        callbacks: Callback | Sequence[Callback] | None = None,
        device: str = "cpu",
        dtype: str | None = None,
        n_threads: int | None = None,
    ) -> None:
        keep(self, locals())
