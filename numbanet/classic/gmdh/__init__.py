"""Ivakhnenko's group method of data handling."""

from numbanet.classic.gmdh.estimators import GMDHClassifier, GMDHRegressor

__all__ = ["GMDHClassifier", "GMDHRegressor"]
