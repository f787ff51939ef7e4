"""Settings that all tests share."""

import os

from hypothesis import settings

# Nothing is timed: the first example may compile. In CI every run draws the same examples.
settings.register_profile("numbanet", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("numbanet")
