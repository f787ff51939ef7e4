"""Pages of formulas, made from the registry: what a plugin offers is on them where it is installed."""

import inspect
import re
import textwrap
from dataclasses import fields
from pathlib import Path

from public_names import put

from numbanet import plot
from numbanet.listing import rows
from numbanet.registry import KINDS, entries

PLURALS = {
    "activation": "Activations", "loss": "Losses", "regularizer": "Regularizers", "optimizer": "Optimisers",
    "schedule": "Schedules", "initializer": "Initializers", "metric": "Metrics",
}  # fmt: skip
DRAWN = {"activation": plot.activation, "loss": plot.loss}


def page(kind, folder):
    """All of one kind."""
    title = PLURALS[kind]
    derivatives = {(row["kind"], row["name"]): row["derivative"] for row in rows()}
    lines = [title, "=" * len(title), ""]
    groups = {}
    for its_kind, entry in entries():
        if its_kind == kind:
            groups.setdefault((formula(entry.spec), *entry.spec.params.items(), entry.distribution), []).append(entry)
    for group in sorted(groups.values(), key=lambda group: group[0].spec.name):
        lines += section(kind, group, derivatives[kind, group[0].spec.name], folder)
    return "\n".join(lines)


def section(kind, group, derivative, folder):
    """One formula, under all of its names."""
    spec, distribution = group[0].spec, group[0].distribution
    title = ", ".join(entry.spec.name for entry in group)
    lines = [f".. _{kind}-{spec.name}:", "", title, "-" * len(title), ""]
    function = formula(spec)
    if inspect.getdoc(function):
        lines += [escaped(inspect.getdoc(function)), ""]
    facts = [f"{kind} of {distribution}"]
    facts += [f"{name} {value:g}{f' in {spec.bounds[name]}' if name in spec.bounds else ''}"
              for name, value in spec.params.items()]
    facts += [f"derivative {derivative}"] if derivative else []
    facts += [f"link {spec.link}", f"targets {spec.targets}"] if kind == "loss" else []
    lines += ["; ".join(facts) + ".", ""]
    source = textwrap.dedent(inspect.getsource(function)) if inspect.isfunction(function) else ""
    if source:
        lines += [".. code-block:: python", "", textwrap.indent(without_docstring(source), "   "), ""]
    if kind in DRAWN:
        picture = folder / f"{kind}-{spec.name}.svg"
        if not picture.exists():
            plot.save_picture(picture, lambda ax: DRAWN[kind](spec, ax))
        lines += [f".. image:: {picture.name}", f"   :alt: {spec.name} and its derivative", "   :class: formula", ""]
    return lines


def formula(spec):
    """The function that says what it is."""
    return next(value for field in fields(spec) if inspect.isfunction(value := getattr(spec, field.name)))


def escaped(text):
    """As it is, for reStructuredText."""
    return re.sub(r"([*`|_\\])", r"\\\1", text)


def without_docstring(source):
    return re.sub(r'\n\s+"""(?:.|\n)*?"""', "", source, count=1)


def write(app, config):
    """Write the pages of all kinds."""
    folder = Path(app.srcdir, "reference", "generated")
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        put(folder / f"{kind}.rst", page(kind, folder))


def setup(app):
    app.connect("config-inited", write)
    return {"parallel_read_safe": True}
