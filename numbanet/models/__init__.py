"""Networks of the literature, as their authors described them."""

from numbanet.models.lenet import lecun1989, lenet5
from numbanet.models.neocognitron import Neocognitron, Stage, neocognitron

__all__ = ["Neocognitron", "Stage", "lecun1989", "lenet5", "neocognitron"]
