"""Estimators with scikit-learn's interface, trained by numbanet."""

from numbanet.sklearn.mlp_classifier import MLPClassifier
from numbanet.sklearn.mlp_regressor import MLPRegressor
from numbanet.sklearn.net import NetClassifier, NetRegressor
from numbanet.sklearn.perceptron import Perceptron

__all__ = ["MLPClassifier", "MLPRegressor", "NetClassifier", "NetRegressor", "Perceptron"]
