"""Networks of the literature."""

from numbanet.models.lenet import lecun1989, lenet5

__all__ = ["lecun1989", "lenet5"]
