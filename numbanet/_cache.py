"""Where this user's caches are."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def user_cache() -> Path:
    """Folder for what can be made or fetched again, as the platform has it; it needn't exist."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
