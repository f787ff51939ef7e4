"""The neurons and networks that came first, each as its authors described it."""

from numbanet.classic.adaline import Adaline
from numbanet.classic.gmdh import GMDHClassifier, GMDHRegressor
from numbanet.classic.mcculloch_pitts import McCullochPittsNetwork, McCullochPittsNeuron
from numbanet.classic.neuron import Neuron
from numbanet.classic.perceptron import Perceptron, novikoff_bound

__all__ = [
    "Adaline", "GMDHClassifier", "GMDHRegressor", "McCullochPittsNetwork", "McCullochPittsNeuron", "Neuron",
    "Perceptron", "novikoff_bound",
]  # fmt: skip
