"""What numbanet brings along: plugins like any other, and factories for what has parameters."""

from numbanet.builtins.adam import Adam, AdamW, AMSGrad, Nadam
from numbanet.builtins.initializers import Constant, Orthogonal, RandomNormal, RandomUniform, TruncatedNormal
from numbanet.builtins.optimizers import SGD, Adadelta, Adagrad, Lion, RMSprop, Rprop
from numbanet.builtins.regularizers import L1, L2, ElasticNet, MaxNorm
from numbanet.builtins.schedules import (
    BoldDriver,
    ConstantSchedule,
    CosineDecay,
    ExponentialDecay,
    InverseTimeDecay,
    OneCycle,
    PolynomialDecay,
    StepDecay,
)

__all__ = [
    "L1",
    "L2",
    "SGD",
    "AMSGrad",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "BoldDriver",
    "Constant",
    "ConstantSchedule",
    "CosineDecay",
    "ElasticNet",
    "ExponentialDecay",
    "InverseTimeDecay",
    "Lion",
    "MaxNorm",
    "Nadam",
    "OneCycle",
    "Orthogonal",
    "PolynomialDecay",
    "RMSprop",
    "RandomNormal",
    "RandomUniform",
    "Rprop",
    "StepDecay",
    "TruncatedNormal",
]
