"""Plugin packages put on the path as pip would, but from where they are."""

import os
import sys
import tomllib
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[1] / "plugins"


def install(package: Path, site: Path) -> dict[str, str]:
    """Write the metadata of a package into ``site``; returns an environment whose Python finds both."""
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    points = project["entry-points"]["numbanet"].items()
    (info / "entry_points.txt").write_text("\n".join(["[numbanet]", *(f"{key} = {value}" for key, value in points)]))
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(package), *filter(None, sys.path)])}
