"""Pages that list every public name, each with a page of its own: written before Sphinx looks for pages."""

import importlib
import inspect
from pathlib import Path

MODULES = {
    "numbanet": "Models, layers, training",
    "numbanet.sklearn": "Estimators with scikit-learn's interface",
    "numbanet.models": "Networks of the literature",
    "numbanet.classic": "The first neurons",
    "numbanet.export": "Networks for other programs",
    "numbanet.datasets": "Data sets",
    "numbanet.plot": "Pictures",
    "numbanet.testing": "Checks for those who write plugins",
}


def names(module):
    """What is public there, but for modules."""
    owner = importlib.import_module(module)
    return [name for name in sorted(owner.__all__, key=str.lower) if not inspect.ismodule(getattr(owner, name))]


def page(module, title):
    """A list with a line on each name."""
    lines = [title, "=" * len(title), "", f".. currentmodule:: {module}", "",
             ".. autosummary::", "   :toctree: names", "   :nosignatures:", ""]
    return "\n".join([*lines, *(f"   {name}" for name in names(module)), ""])


def write(app, config):
    """Write the pages where they differ from those that are there."""
    folder = Path(app.srcdir, "reference", "generated")
    folder.mkdir(parents=True, exist_ok=True)
    for module, title in MODULES.items():
        put(folder / f"{module}.rst", page(module, f"{module}: {title[0].lower()}{title[1:]}"))


def put(path, text):
    """Write a file, and leave it alone if it is the same: Sphinx then reads it no second time."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def setup(app):
    app.connect("config-inited", write)
    return {"parallel_read_safe": True}
