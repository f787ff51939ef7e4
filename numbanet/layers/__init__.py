"""Layers: shapes and parameters, and which computations they are made of."""

from numbanet.layers.base import Layer
from numbanet.layers.conv import Conv2D
from numbanet.layers.dense import Dense
from numbanet.layers.pool import AvgPool2D, MaxPool2D
from numbanet.layers.shape import Flatten

__all__ = ["AvgPool2D", "Conv2D", "Dense", "Flatten", "Layer", "MaxPool2D"]
