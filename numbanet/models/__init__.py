"""Networks of the literature, as their authors described them."""

from numbanet.models.neocognitron import Neocognitron, Stage, neocognitron

__all__ = ["Neocognitron", "Stage", "neocognitron"]
