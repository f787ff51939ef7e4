"""Layers: shapes and parameters, and which computations they are made of."""

from numbanet.layers.base import Layer
from numbanet.layers.conv import Conv1D, Conv2D
from numbanet.layers.dense import Dense
from numbanet.layers.embedding import Embedding
from numbanet.layers.noise import Dropout, GaussianNoise, SpatialDropout
from numbanet.layers.normalize import BatchNorm, LayerNorm
from numbanet.layers.pool import AvgPool1D, AvgPool2D, GlobalAvgPool, GlobalMaxPool, MaxPool1D, MaxPool2D
from numbanet.layers.residual import Residual
from numbanet.layers.shape import Apply, Flatten, Reshape

__all__ = [
    "Apply", "AvgPool1D", "AvgPool2D", "BatchNorm", "Conv1D", "Conv2D", "Dense", "Dropout", "Embedding", "Flatten",
    "GaussianNoise", "GlobalAvgPool", "GlobalMaxPool", "Layer", "LayerNorm", "MaxPool1D", "MaxPool2D", "Reshape",
    "Residual", "SpatialDropout",
]  # fmt: skip
