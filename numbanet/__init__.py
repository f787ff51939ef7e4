"""Neural networks compiled by Numba, with formulas as plugins.

Names are loaded when they are first used: importing numbanet compiles nothing, and imports
neither Numba nor SciPy.
"""

from importlib import import_module as _import
from typing import Any as _Any

__version__ = "0.1.0"

_MODULES = {
    "builtins": [
        "L1", "L2", "SGD", "AMSGrad", "Adadelta", "Adagrad", "Adam", "AdamW", "BoldDriver", "Constant",
        "ConstantSchedule", "CosineDecay", "ElasticNet", "ExponentialDecay", "InverseTimeDecay", "Lion", "MaxNorm",
        "Nadam", "OneCycle", "Orthogonal", "PolynomialDecay", "RMSprop", "RandomNormal", "RandomUniform", "Rprop",
        "StepDecay", "TruncatedNormal",
    ],
    "callbacks": ["Callback", "EarlyStopping", "LambdaCallback", "ModelCheckpoint", "ReduceLROnPlateau"],
    "checkpoint": ["Checkpoint"],
    "device": ["CUDA", "devices"],
    "ensemble": ["Ensemble"],
    "history": ["History"],
    "hookspecs": ["hookimpl"],
    "layers": [
        "Apply", "AvgPool1D", "AvgPool2D", "BatchNorm", "Conv1D", "Conv2D", "Dense", "Dropout", "Embedding", "Flatten",
        "GaussianNoise", "GlobalAvgPool", "GlobalMaxPool", "Layer", "LayerNorm", "MaxPool1D", "MaxPool2D", "Reshape",
        "Residual", "SpatialDropout",
    ],
    "many": ["fit_many"],
    "model": ["Sequential"],
    "named": ["activation", "initializer", "loss", "metric", "optimizer", "regularizer", "schedule"],
    "progress": ["CSVLogger", "ProgressBar"],
    "scaling": ["Scaling"],
    "search": ["WeightDecayCV", "select_weight_decay"],
    "spec": ["Activation", "Initializer", "Loss", "Metric", "Optimizer", "Regularizer", "Schedule"],
    "starts": ["MultiStart", "multi_start"],
    "store": ["FormatError", "load"],
    "tensorboard": ["TensorBoard"],
    "trainer": ["Trainer"],
}  # fmt: skip
_OWNERS = {name: module for module, names in _MODULES.items() for name in names}
_SUBMODULES = ("classic", "datasets", "export", "models", "plot", "testing")
_WITH_EXTRAS = ("sklearn",)  # which an import of everything leaves out

__all__ = sorted([*_OWNERS, *_SUBMODULES])


def __getattr__(name: str) -> _Any:
    if name in _SUBMODULES + _WITH_EXTRAS:
        return _import(f"numbanet.{name}")
    if name not in _OWNERS:
        raise AttributeError(f"module 'numbanet' has no attribute '{name}'")
    value = getattr(_import(f"numbanet.{_OWNERS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, *_WITH_EXTRAS, "__version__"]
