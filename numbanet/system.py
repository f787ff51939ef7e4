"""What a report of a bug should say of the machine; nothing is compiled."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from numbanet import __version__
from numbanet._cache import user_cache

NEEDED = ("numba", "llvmlite", "numpy", "scipy")
OPTIONAL = ("scikit-learn", "matplotlib", "onnx", "numba-cuda", "cupy", "tensorboardX")
NAMES = {"cupy": ("cupy", "cupy-cuda13x", "cupy-cuda12x")}  # distributions, of which one is installed
FEATURES = ("avx2", "avx512f", "fma", "neon")  # that decide which kernels are made


def versions() -> dict[str, str]:
    """Versions of numbanet, of Python, and of the packages that matter.

    Returns
    -------
    dict of str to str
        By name; of optional packages those that are installed.
    """
    found = {name: version for name in (*NEEDED, *OPTIONAL) if (version := _version(name))}
    return {"numbanet": __version__, "Python": platform.python_version(), **found}


def facts() -> dict[str, dict[str, Any]]:
    """All that is known, by heading and name.

    Returns
    -------
    dict of str to dict
        Of texts and numbers, and lists of them.
    """
    return {
        "versions": {**versions(), "platform": platform.platform()},
        "processor": _processor(),
        "cache": _cache(),
        "devices": _devices(),
        "environment": {name: value for name, value in sorted(os.environ.items())
                        if name.startswith(("NUMBA_", "NUMBANET_"))},
        "plugins": _plugins(),
    }


def table(found: dict[str, dict[str, Any]]) -> str:
    """Facts as text, to be pasted into a report.

    Parameters
    ----------
    found : dict
        From `facts`.

    Returns
    -------
    str
        A line each.
    """
    width = max(len(name) for rows in found.values() for name in rows)
    lines = []
    for heading, rows in found.items():
        lines += ["", heading, *(f"  {name:{width}}  {_text(value)}" for name, value in rows.items())]
        lines += ["  none"] * (not rows)
    return "\n".join(lines[1:])


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else f"{value}"


def _version(name: str) -> str:
    for distribution in NAMES.get(name, (name,)):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            pass
    return ""


def _processor() -> dict[str, Any]:
    from llvmlite.binding import get_host_cpu_name

    from numbanet.cpu.host import features, tile
    from numbanet.device import available_threads

    rows: dict[str, Any] = {
        "model": _model() or platform.processor() or platform.machine(),
        "LLVM's name": get_host_cpu_name(),
        "features": [name for name in FEATURES if name in features()],
        "cores": os.cpu_count() or 1,
        "threads": available_threads(),
    }
    for dtype in ("float32", "float64"):
        t = tile(dtype)
        dots = "{} x {}".format(*t.sums)
        rows[dtype] = f"vectors of {t.vector}, tile of {t.height} x {t.lanes}, dot products of {dots}"
    return rows


def _model() -> str:
    """What Linux says of the processor, which Python does not."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


class CacheFolders(NamedTuple):
    """Where kernels are kept: the text of those that are generated, and what Numba has compiled."""

    generated: Path
    compiled: Path | None
    writable: bool

    def files(self) -> set[Path]:
        """All that is kept."""
        moved = os.environ.get("NUMBA_CACHE_DIR")
        places = {Path(moved)} if moved else {self.generated.parent, *([self.compiled] if self.compiled else [])}
        return {path for place in places for path in place.rglob("*.nb[ic]")} | set(self.generated.parent.rglob("*.py"))


def cache_folders() -> CacheFolders:
    """Where kernels are kept.

    Returns
    -------
    CacheFolders
        Without a folder for what is compiled where none can be written.
    """
    from numbanet.cpu import dense
    from numbanet.cpu.generate import folder

    generated, moved = folder(), os.environ.get("NUMBA_CACHE_DIR")
    # Next to the source, for Numba, unless NUMBA_CACHE_DIR is set.
    compiled = getattr(getattr(dense.forward, "_cache", None), "cache_path", None)
    return CacheFolders(generated, compiled and Path(compiled),
                        (Path(moved) if moved else user_cache()) in generated.parents)


def _cache() -> dict[str, Any]:
    from numba import config

    from numbanet.cpu.generate import known_types

    folders = cache_folders()
    sizes = [path.stat().st_size for path in folders.files()]
    return {
        "generated": str(folders.generated),
        "compiled": str(folders.compiled or "nowhere"),
        "size": f"{sum(sizes) / 1e6:.1f} MB in {len(sizes):,} files",
        "can be written": folders.writable,
        "ready for": "NUMBA_DISABLE_JIT is set: nothing is compiled" if config.DISABLE_JIT else sorted(known_types()),
    }


def _devices() -> dict[str, str]:
    from numbanet.device import devices

    return {device.name: device.description if device.usable else f"not usable: {device.problem}"
            for device in devices()}


def _plugins() -> dict[str, str]:
    import warnings

    from numbanet.registry import OURS, entries, failures

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is left out is in the table
        found = {entry.distribution: entry.version for _, entry in entries() if entry.distribution != OURS}
    return {**found, **{str(plugin): f"left out: {error}" for plugin, error in failures()}}
