"""Layers: shapes and parameters, and which computations they are made of."""

from numbanet.layers.base import Layer
from numbanet.layers.dense import Dense

__all__ = ["Dense", "Layer"]
