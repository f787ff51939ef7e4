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
_FILES = {  # what is written, and from which file of the template
    ".github/workflows/test.yml": "workflow.yml.in",
    ".gitignore": "gitignore.in",
    "LICENSE": "LICENSE.in",
    "README.md": "README.md.in",
    "@MODULE@.py": "module.py.in",
    "pyproject.toml": "pyproject.toml.in",
    "tests/test_@MODULE@.py": "test_module.py.in",
}


def render(name: str) -> dict[str, str]:
    """Files of the package with an activation of this name.

    Parameters
    ----------
    name : str
        Lower-case identifier, such as "my_sigmoid".

    Returns
    -------
    dict of str to str
        Text by path, which is relative and has slashes.
    """
    template = files("numbanet") / "template"
    return {
        _fill(path, name): _fill((template / source).read_text(encoding="utf-8"), name)
        for path, source in _FILES.items()
    }


def _fill(text: str, name: str) -> str:
    distribution = distribution_of(name)
    for key, value in {"NAME": name, "DISTRIBUTION": distribution, "MODULE": distribution.replace("-", "_")}.items():
        text = text.replace(f"@{key}@", value)
    return text


def distribution_of(name: str) -> str:
    """Name of the package that offers an activation, such as "numbanet-my-sigmoid"."""
    return f"numbanet-{name.replace('_', '-')}"


def new_activation(name: str, folder: Path | None = None) -> Path:
    """Write a plugin package that offers an activation.

    Parameters
    ----------
    name : str
        Lower-case identifier, by which the activation will be asked for.
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
    if name in registry.names("activation"):
        owner = registry.entry("activation", name)
        if canonical(owner.distribution) != distribution:
            raise ValueError(f"activation '{name}' is offered by {owner} already; choose another name")
    folder = Path(distribution) if folder is None else folder
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"'{folder}' is a file; name a new or an empty folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"folder '{folder}' isn't empty; name a new or an empty one")
    for path, text in render(name).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8", newline="\n")
    return folder
