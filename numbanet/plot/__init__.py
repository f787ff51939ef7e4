"""Pictures of networks, data and training; matplotlib is loaded when one is drawn.

Each function draws into the axes that it is given, or into a new figure, and returns them. A figure is written with
``ax.figure.savefig("name.svg")``, or any other ending that matplotlib knows.
"""

from numbanet.plot.confusion import confusion_matrix
from numbanet.plot.curves import learning_curve, validation_curve
from numbanet.plot.diagrams import network, neuron
from numbanet.plot.formulas import activation, loss
from numbanet.plot.histograms import gradient_histograms, weight_histograms
from numbanet.plot.images import feature_maps, filters, saliency
from numbanet.plot.plane import decision_regions
from numbanet.plot.style import save_picture
from numbanet.plot.surface import loss_surface

__all__ = [
    "activation", "confusion_matrix", "decision_regions", "feature_maps", "filters", "gradient_histograms",
    "learning_curve", "loss", "loss_surface", "network", "neuron", "saliency", "save_picture", "validation_curve",
    "weight_histograms",
]  # fmt: skip
