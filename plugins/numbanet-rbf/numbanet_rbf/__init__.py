"""A layer of radial basis functions for numbanet."""

from numbanet_rbf.layer import RadialBasis, from_samples

__all__ = ["RadialBasis", "from_samples"]
