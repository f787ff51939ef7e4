"""A new plugin package, written from the template in ``numbanet/template``."""

from __future__ import annotations

import builtins
import keyword
import re
from importlib.resources import files
from pathlib import Path

from numbanet import registry
from numbanet._discovery import canonical

_TAKEN = {*keyword.kwlist, *dir(builtins), "math", "hookimpl", "numbanet"}  # they mean something in the module
KINDS = ("activation", "loss", "regularizer")
_FILES = {  # what is written, and from which file of the template; what depends on the kind has a folder for each
    ".github/workflows/test.yml": "workflow.yml.in",
    ".gitignore": "gitignore.in",
    "LICENSE": "LICENSE.in",
    "README.md": "@KIND@/README.md.in",
    "@MODULE@.py": "@KIND@/module.py.in",
    "pyproject.toml": "pyproject.toml.in",
    "tests/test_@MODULE@.py": "@KIND@/test_module.py.in",
}


def render(kind: str, name: str) -> dict[str, str]:
    """Files of the package with a plugin of this kind and name.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    name : str
        Lower-case identifier, such as "my_sigmoid".

    Returns
    -------
    dict of str to str
        Text by path, which is relative and has slashes.
    """
    distribution = distribution_of(name)
    values = {"KIND": kind, "NAME": name, "DISTRIBUTION": distribution, "MODULE": distribution.replace("-", "_")}

    def fill(text: str) -> str:
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        return text

    template = files("numbanet") / "template"
    return {
        fill(path): fill(template.joinpath(*fill(source).split("/")).read_text(encoding="utf-8"))
        for path, source in _FILES.items()
    }


def distribution_of(name: str) -> str:
    """Name of the package that offers a plugin, such as "numbanet-my-sigmoid"."""
    return f"numbanet-{name.replace('_', '-')}"


def new_package(kind: str, name: str, folder: Path | None = None) -> Path:
    """Write a plugin package.

    Parameters
    ----------
    kind : str
        What it offers, one of `KINDS`.
    name : str
        Lower-case identifier, by which the plugin will be asked for.
    folder : Path, optional
        New or empty; by default named as the package, in the current folder.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ValueError
        If the name can't be used or is taken, or the folder isn't empty.
    OSError
        If a file can't be written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise ValueError(f"name {name!r} must be lower-case words of letters and digits joined by _, as in my_sigmoid")
    if name in _TAKEN:
        raise ValueError(f"name '{name}' means something else in Python; choose another")
    distribution = distribution_of(name)
    if name in registry.names(kind):
        owner = registry.entry(kind, name)
        if canonical(owner.distribution) != distribution:
            raise ValueError(f"{kind} '{name}' is offered by {owner} already; choose another name")
    folder = Path(distribution) if folder is None else folder
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"'{folder}' is a file; name a new or an empty folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"folder '{folder}' isn't empty; name a new or an empty one")
    for path, text in render(kind, name).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8", newline="\n")
    return folder
